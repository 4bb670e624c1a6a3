package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.Settings;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// `matmul.cu`, which stands in where cuBLAS is missing: every operation that multiplies matrices.
class OwnMatmulTest {
  @Test
  void operationsWithProducts_agreeWithTheReference() {
    System.setProperty("fornax.cuda.cublas", "false");
    try (Backend backend = TestDevice.open();
        Backend reference = new ReferenceBackend()) {
      assertTrue(!Settings.cublas());
      List<String> failures = new ArrayList<>();
      int checked = 0;
      for (OpCase operation : OpCases.all()) {
        if (operation.name().matches("matmul.*|linear.*|attention.*")) {
          for (DType type : operation.types()) {
            for (OpCase.Variant variant : operation.variants(type)) {
              for (CaseResult result : SelfTest.check(variant, type, reference, backend)) {
                checked++;
                if (!result.passed()) {
                  failures.add(result.toString());
                }
              }
            }
          }
        }
      }
      assertEquals(List.of(), failures);
      assertTrue(checked > 40, "checked " + checked);
    } finally {
      System.clearProperty("fornax.cuda.cublas");
    }
  }
}
