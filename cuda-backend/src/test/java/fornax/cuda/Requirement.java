package fornax.cuda;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.util.Arrays;

/// What a test needs that a machine may lack: absent, it is a skip with its reason, or a failure
/// where `-Dfornax.require=cuda-emulated` asks for it.
final class Requirement {
  private Requirement() {}

  /// NVRTC.
  static Nvrtc nvrtc() {
    var symbols = CudaLibraries.nvrtc().symbols();
    if (symbols == null) {
      missing(CudaLibraries.nvrtc() + "; Maven profile cuda-redist brings it");
      throw new AssertionError("unreachable");
    }
    return new Nvrtc(symbols);
  }

  static void missing(String what) {
    if (Arrays.asList(System.getProperty("fornax.require", "").split(","))
        .contains("cuda-emulated")) {
      fail("required by -Dfornax.require but absent: " + what);
    }
    abort("absent: " + what);
  }
}
