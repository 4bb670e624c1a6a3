package fornax.data;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

/// Any bytes are tokens that are all there, or a [DataException]: of an index, and of the files
/// that are mapped.
class TokenShardsFuzzTest {
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("token shards", TokenShardsFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words(
              "tokens", "bytesPerToken", "shardTokens", "checksums", "null", "4611686018427387904");

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("shards");
      try (var writer = new TokenShards.Writer(scratch, 300, 8)) {
        writer.write(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 299, 10, 11, 12, 13, 14, 15, 16, 17});
        writer.finish();
      }
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      for (String name :
          List.of("index.json", "tokens-00000.bin", "tokens-00001.bin", "tokens-00002.bin")) {
        files.put(name, Files.readAllBytes(scratch.resolve(name)));
        Files.delete(scratch.resolve(name));
      }
      Files.delete(scratch);
      return FuzzFolder.of(files, 3);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    try (var shards = TokenShards.open(FOLDER.with(input))) {
      int[] tokens = new int[(int) Math.min(shards.length(), 1000)];
      shards.copy(0, tokens, 0, tokens.length);
      shards.copy(shards.length() - tokens.length, tokens, 0, tokens.length);
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areReadOrRefused() {
    FUZZ.run();
  }
}
