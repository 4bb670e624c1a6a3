package fornax.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Kernels are right with any number of work-items to a group and any tile: what suits the device
/// of the tests is not what suits another.
class OpenClWidthsTest {
  private static final Set<String> SHARING =
      Set.of(
          "sum", "argmax", "softmax", "layerNorm", "crossEntropy", "topK", "matmul", "attention");

  @ParameterizedTest
  @CsvSource({
    "8, 8, 8, 4, 1, 4, 16, 32768", // narrower than any hardware
    "32, 8, 8, 4, 1, 4, 16, 32768", // NVIDIA's waves
    "64, 16, 16, 4, 1, 4, 16, 16384", // AMD's waves; little local memory
    "256, 16, 16, 8, 2, 4, 8, 32768"
  })
  void kernels_areRightAtAnyWidth(
      int group, int lm, int ln, int tm, int tn, int vw, int bk, long localBytes) {
    Tuning.Tile tile = new Tuning.Tile(lm, ln, tm, tn, vw, bk);
    assertRight(Devices.open(new Tuning(group, group, group, List.of(tile)), localBytes));
  }

  /// What graphics processors get: waves of 64 with small groups, waves of 32 or 64 with large
  /// ones.
  @ParameterizedTest
  @CsvSource({"64, 32768", "1024, 49152"})
  void kernels_areRightAsOnGraphicsProcessors(int groupLimit, long localBytes) {
    assertRight(Devices.openAsGpu(groupLimit, localBytes));
  }

  private static void assertRight(Backend device) {
    try (Backend backend = device;
        Backend reference = new ReferenceBackend()) {
      for (OpCase operation : OpCases.all()) {
        if (SHARING.contains(operation.name())) {
          for (OpCase.Variant variant : operation.variants()) {
            for (CaseResult result : SelfTest.check(variant, DType.F32, reference, backend)) {
              assertTrue(result.passed(), result::toString);
            }
          }
        }
      }
      assertEquals(0, backend.memory().stats().live());
    }
  }
}
