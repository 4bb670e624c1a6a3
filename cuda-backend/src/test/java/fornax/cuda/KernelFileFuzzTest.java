package fornax.cuda;

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

/// Whatever a file of the kernel cache holds, it is the code that was put there, or none: a driver
/// is never given bytes that NVRTC did not make.
class KernelFileFuzzTest {
  private static final String NAME = "kernel-compute_80-0123456789abcdef";
  private static final byte[] CODE =
      ".version 7.0\n.target sm_80\n".repeat(9).getBytes(StandardCharsets.UTF_8);
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("cuda cache", KernelFileFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words("FORNAXCU", "\u007fELF", ".version");

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("kernels");
      new KernelFile(scratch, NAME).write(CODE);
      byte[] written = Files.readAllBytes(scratch.resolve(NAME));
      Files.delete(scratch.resolve(NAME));
      Files.delete(scratch);
      return FuzzFolder.of(new LinkedHashMap<>(Map.of(NAME, written)), 1);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    byte[] got = new KernelFile(FOLDER.with(input), NAME).read();
    if (got != null && !Arrays.equals(got, CODE)) {
      throw new AssertionError("other code");
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areTheCodeOrNone() {
    FUZZ.run();
  }
}
