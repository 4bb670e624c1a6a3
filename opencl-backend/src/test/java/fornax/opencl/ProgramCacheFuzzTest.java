package fornax.opencl;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Whatever a file of the kernel cache holds, it is the program that was put there, or none: a
/// driver is never given bytes that it did not make.
class ProgramCacheFuzzTest {
  private static final String KEY = ProgramCache.key("kernel", "-D X", "device");
  private static final byte[] PROGRAM =
      "binary of a kernel".repeat(20).getBytes(StandardCharsets.UTF_8);
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("opencl cache", ProgramCacheFuzzTest::read).seeds(FOLDER.seeds()).words("FORNAXCL");

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("cache");
      new ProgramCache(scratch).write(KEY, PROGRAM);
      Path file = scratch.resolve(KEY + ".bin");
      byte[] written = Files.readAllBytes(file);
      Files.delete(file);
      Files.delete(scratch);
      return FuzzFolder.of(new LinkedHashMap<>(Map.of(KEY + ".bin", written)), 1);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    byte[] got = new ProgramCache(FOLDER.with(input)).read(KEY);
    if (got != null && !Arrays.equals(got, PROGRAM)) {
      throw new AssertionError("another program");
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areTheProgramOrNone() {
    FUZZ.run();
  }
}
