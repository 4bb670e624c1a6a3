package fornax.cpu;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.util.Arrays;

/// oneDNN for a test: absent, it is a skip with its reason, or a failure where
/// `-Dfornax.require=onednn` asks for it.
final class OneDnnRequirement {
  private OneDnnRequirement() {}

  static OneDnnMatmul matmul() {
    try {
      return new OneDnnMatmul(OneDnn.load());
    } catch (OneDnnLibrary.UnavailableException e) {
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("onednn")) {
        return fail("required by -Dfornax.require but absent: " + e.getMessage());
      }
      return abort("absent: " + e.getMessage());
    }
  }
}
