package fornax.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.train.RunConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizedTextTest {
  private static final int SHORT = 1000;

  @TempDir Path folder;

  private static Tokenizer characters(TokenizedText.Scan scan) {
    return CharTokenizer.of(scan.characters());
  }

  private TokenizedText.Options cached() {
    return new TokenizedText.Options(folder.resolve("cache"), SHORT, _ -> {}, _ -> {});
  }

  private static void read(
      TextStream text,
      Function<TokenizedText.Scan, Tokenizer> choose,
      TokenizedText.Options options)
      throws IOException {
    try (var read = TokenizedText.of(text, choose, options)) {
      assertTrue(read.tokens().length() > 0);
    }
  }

  private List<Path> kept() throws IOException {
    try (Stream<Path> all = Files.list(folder.resolve("cache"))) {
      return all.toList();
    }
  }

  private static int[] all(TokenSequence tokens) {
    int[] all = new int[(int) tokens.length()];
    tokens.copy(0, all, 0, all.length);
    return all;
  }

  @Test
  void mapped_areTheTokensOfTheWhole() throws IOException {
    String whole = Texts.load(List.of("dickens", "shakespeare"));
    for (Function<TokenizedText.Scan, Tokenizer> choose :
        List.<Function<TokenizedText.Scan, Tokenizer>>of(
            TokenizedTextTest::characters, _ -> new Gpt2Tokenizer())) {
      try (var text =
          TokenizedText.of(TextStream.of(List.of("dickens", "shakespeare")), choose, cached())) {
        assertTrue(text.isMapped());
        assertEquals(RunConfig.sha256(whole), text.textSha256());
        Tokenizer tokenizer = choose.apply(new TokenizedText.Scan(whole, ""));
        assertEquals(tokenizer.description(), text.tokenizer().description());
        assertArrayEquals(tokenizer.encode(whole), all(text.tokens()));
      }
    }
    assertEquals(2, kept().size());
  }

  @Test
  void shortText_staysInMemory() throws IOException {
    Path file = Files.writeString(folder.resolve("short"), "a".repeat(SHORT - 1));
    try (var text =
        TokenizedText.of(
            TextStream.of(List.of(file + "")), TokenizedTextTest::characters, cached())) {
      assertFalse(text.isMapped());
      assertEquals(SHORT - 1, text.tokens().length());
    }
    assertFalse(Files.exists(folder.resolve("cache")));
  }

  @Test
  void cache_isUsedForTheSameTextAndTokenizerAlone() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "the cat sat.\n".repeat(SHORT));
    int[] encoded = {0};
    TokenizedText.Options options = cached().withProgress(_ -> {}, _ -> encoded[0]++);
    for (int i = 0; i < 2; i++) {
      try (var text =
          TokenizedText.of(
              TextStream.of(List.of(file + "")), TokenizedTextTest::characters, options)) {
        assertEquals(13 * SHORT, text.tokens().length());
      }
    }
    int once = encoded[0];
    assertTrue(once > 0);
    assertEquals(1, kept().size());
    Files.setLastModifiedTime(file, FileTime.fromMillis(0)); // the content counts, not the date
    read(TextStream.of(List.of(file + "")), TokenizedTextTest::characters, options);
    assertEquals(once, encoded[0]);

    Files.writeString(file, "the cat sat!\n".repeat(SHORT));
    read(TextStream.of(List.of(file + "")), TokenizedTextTest::characters, options);
    read(TextStream.of(List.of(file + "")), _ -> new Gpt2Tokenizer(), options);
    assertEquals(3, kept().size());
    assertTrue(encoded[0] > once);
  }

  /// While one program makes the tokens another does: whichever is later takes the other's.
  @Test
  void twoProgramsAtOnce_shareTheFiles() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "the cat sat.\n".repeat(SHORT));
    var stream = TextStream.of(List.of(file + ""));
    boolean[] other = {false};
    LongConsumer meanwhile =
        _ -> {
          if (!other[0]) {
            other[0] = true;
            try {
              read(stream, TokenizedTextTest::characters, cached());
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          }
        };
    read(stream, TokenizedTextTest::characters, cached().withProgress(_ -> {}, meanwhile));
    assertTrue(other[0]);
    assertEquals(1, kept().size()); // nothing unfinished beside it
  }

  /// Its tokens would be kept under the name of what it was.
  @Test
  void textThatChangesWhileItIsRead_isRefused() throws IOException {
    String[] texts = {"the cat sat.\n".repeat(SHORT), "the sat cat.\n".repeat(SHORT)};
    Path file = Files.writeString(folder.resolve("text"), texts[0]);
    LongConsumer change =
        _ -> {
          try {
            Path _ = Files.writeString(file, texts[1]);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        };
    TokenizedText.Options options = cached().withProgress(change, _ -> {});
    var stream = TextStream.of(List.of(file + ""));
    var e =
        assertThrows(
            DataException.class, () -> read(stream, TokenizedTextTest::characters, options));
    assertTrue(e.toString().contains("changed while it was read"), e::toString);
    assertEquals(List.of(), kept());
  }

  /// As a failing disk is not.
  @Test
  void fileThatCannotBeRead_isNamed() throws IOException {
    Path memory = Path.of("/proc/self/mem");
    assumeTrue(Files.isReadable(memory), "no such file here");
    var stream = TextStream.of(List.of(memory.toString()));
    var e =
        assertThrows(
            DataException.class, () -> read(stream, TokenizedTextTest::characters, cached()));
    assertTrue(e.toString().contains(memory + " cannot be read"), e::toString);
  }

  @Test
  void filesHaveTheSameNamesInEveryLocale() throws IOException {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
    try (var writer = new TokenShards.Writer(folder, 9, 2)) {
      writer.write(new int[] {1, 2, 3});
      writer.finish();
    } finally {
      Locale.setDefault(before);
    }
    assertTrue(Files.exists(folder.resolve("tokens-00001.bin")));
  }

  @Test
  void withoutCache_nothingIsLeft() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "the cat sat.\n".repeat(SHORT));
    List<Path> before = temporary();
    try (var text =
        TokenizedText.of(
            TextStream.of(List.of(file + "")),
            TokenizedTextTest::characters,
            cached().withoutCache())) {
      assertTrue(text.isMapped());
      assertEquals(before.size() + 1, temporary().size());
    }
    assertEquals(before, temporary());
    assertFalse(Files.exists(folder.resolve("cache")));
  }

  private static List<Path> temporary() throws IOException {
    try (Stream<Path> all = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      return all.filter(path -> path.getFileName().toString().startsWith("fornax-tokens-"))
          .toList();
    }
  }

  @Test
  void unreadableText_leavesNothingBehind() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "the cat sat.\n".repeat(SHORT));
    var stream = TextStream.of(List.of(file + ""));
    Tokenizer few = CharTokenizer.of("abc");
    assertThrows(UnknownCharacterException.class, () -> read(stream, _ -> few, cached()));
    assertEquals(List.of(), kept());
  }

  @Test
  void damagedFiles_areNamed() throws IOException {
    Path file = Files.writeString(folder.resolve("text"), "the cat sat.\n".repeat(SHORT));
    var stream = TextStream.of(List.of(file + ""));
    read(stream, TokenizedTextTest::characters, cached());
    Path entry = kept().getFirst();
    Path shard = entry.resolve("tokens-00000.bin");
    byte[] good = Files.readAllBytes(shard);
    byte[] bad = good.clone();
    bad[good.length / 2] ^= 1;
    for (byte[] bytes : List.of(bad, Arrays.copyOf(good, good.length - 2), new byte[0])) {
      Files.write(shard, bytes);
      var e =
          assertThrows(
              DataException.class, () -> read(stream, TokenizedTextTest::characters, cached()));
      assertTrue(e.toString().contains(entry + " are damaged: tokens-00000.bin"), e::toString);
    }
    Files.delete(shard);
    assertThrows(DataException.class, () -> read(stream, TokenizedTextTest::characters, cached()));
  }

  @Test
  void shards_holdSixteenOrThirtyTwoBitsAndAnyLength() throws IOException {
    int[] tokens = IntStream.range(0, 1000).map(i -> i * 65).toArray(); // up to 64,935
    for (int vocabulary : new int[] {1 << 16, (1 << 16) + 1}) {
      for (long shard : new long[] {1, 7, 250, 999, 1000, 1001}) {
        Path into = Files.createTempDirectory(folder, "shards");
        try (var writer = new TokenShards.Writer(into, vocabulary, shard)) {
          writer.write(Arrays.copyOf(tokens, 400));
          writer.write(new int[0]);
          writer.write(Arrays.copyOfRange(tokens, 400, 1000));
          writer.finish();
        }
        try (Stream<Path> files = Files.list(into)) {
          assertEquals(1 + (1000 + shard - 1) / shard, files.count());
        }
        int bytes = vocabulary == 1 << 16 ? 2 : 4;
        assertEquals(Math.min(shard, 1000) * bytes, Files.size(into.resolve("tokens-00000.bin")));
        try (var shards = TokenShards.open(into)) {
          assertArrayEquals(tokens, all(shards));
          int[] some = new int[20];
          shards.copy(495, some, 5, 10);
          assertArrayEquals(Arrays.copyOfRange(tokens, 495, 505), Arrays.copyOfRange(some, 5, 15));
          assertThrows(IndexOutOfBoundsException.class, () -> shards.copy(995, some, 0, 6));
          assertThrows(IndexOutOfBoundsException.class, () -> shards.copy(0, some, 15, 6));
        }
      }
    }
  }

  @Test
  void batches_areTheSameFromMemoryAndFromFiles() throws IOException {
    int[] tokens = IntStream.range(0, 5000).map(i -> i * 31 % 509).toArray();
    try (var writer = new TokenShards.Writer(folder, 509, 128)) {
      writer.write(tokens);
      writer.finish();
    }
    try (var shards = TokenShards.open(folder)) {
      var memory = TokenDataset.of(tokens, 33);
      var mapped = TokenDataset.of(shards, 33);
      int[][] a = new int[2][4 * 33];
      int[][] b = new int[2][4 * 33];
      for (int i = 0; i < 50; i++) {
        memory.trainingBatches(5, 4).fill(i, a[0], a[1]);
        mapped.trainingBatches(5, 4).fill(i, b[0], b[1]);
        assertArrayEquals(a, b);
      }
      EvaluationBatches all = memory.evaluationBatches(4);
      for (int i = 0; i < all.count(); i++) {
        assertEquals(all.fill(i, a[0], a[1]), mapped.evaluationBatches(4).fill(i, b[0], b[1]));
        assertArrayEquals(a, b);
      }
    }
  }
}
