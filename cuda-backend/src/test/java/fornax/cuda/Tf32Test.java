package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.DeviceException;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.Golden;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Products of F32 matrices in TF32, by cuBLAS and by `matmultf32.cu`: every operation that is made
/// of products.
class Tf32Test {
  private static final String PRODUCTS = "matmul|linear|linearCrossEntropy|conv2d";

  /// A factor is off by 2⁻¹¹ of itself at most, a product by 2⁻¹⁰, in place of F32's 2⁻²³; so the
  /// bound is F32's, which grows with the square root of the number of products, as much larger as
  /// makes it 2⁻⁷ where F32's is 1e-5.
  private static final double TIMES_F32 = 0x1p-7 / 1e-5;

  @AfterEach
  void reset() {
    System.clearProperty("fornax.cuda.cublas");
    if (!TestDevice.isCard()) {
      SoftwareDevice.reset();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"true", "false"})
  void operations_agreeWithTheReference(String cublas) {
    System.setProperty("fornax.cuda.cublas", cublas);
    List<String> failures = new ArrayList<>();
    double worst = 0;
    try (Backend backend = TestDevice.open();
        Backend reference = new ReferenceBackend()) {
      backend.multiplyInTf32(true);
      for (OpCase operation : OpCases.all()) {
        if (!operation.method().matches(PRODUCTS)) {
          continue;
        }
        for (OpCase.Variant variant : operation.variants()) {
          for (CaseResult result : SelfTest.check(variant, DType.F32, reference, backend)) {
            worst = Math.max(worst, result.maxError());
            if (!(result.maxError() <= result.tolerance() * TIMES_F32)) {
              failures.add(result.toString());
            }
          }
        }
      }
    }
    assertEquals(List.of(), failures);
    assertTrue(worst > 1e-4, "some result must show that factors were rounded; got " + worst);
  }

  /// PyTorch's numbers, of operators and of a small GPT that is trained, in F32.
  @Test
  void golden_agreesWithPyTorch() throws IOException {
    List<String> failures = new ArrayList<>();
    int checked = 0;
    try (Backend backend = TestDevice.open()) {
      backend.multiplyInTf32(true);
      List<CaseResult> results = new ArrayList<>(Golden.builtIn().operators(backend));
      results.addAll(Golden.builtIn().model(backend));
      for (CaseResult result : results) {
        if (result.dtype().equals("F32") && result.status() != CaseResult.Status.SKIPPED) {
          checked++;
          if (!(result.maxError() <= result.tolerance() * TIMES_F32)) {
            failures.add(result.toString());
          }
        }
      }
    }
    assertEquals(List.of(), failures);
    assertTrue(checked > 20, "checked " + checked);
  }

  @Test
  void mode_canBeLeft() {
    try (CudaBackend backend = TestDevice.open();
        var _ = Scope.open()) {
      Tensor x = Tensors.on(backend).of(new float[] {1 + 0x1p-20f}, Shape.of(1, 1));
      assertEquals(1 + 0x1p-19f, x.matmul(x).item(), 0x1p-23f);
      backend.multiplyInTf32(true);
      assertEquals(1, x.matmul(x).item(), 0);
      backend.multiplyInTf32(false);
      assertEquals(1 + 0x1p-19f, x.matmul(x).item(), 0x1p-23f);
    }
  }

  @Test
  void cardWithoutTensorCoresForIt_refuses() {
    assumeFalse(TestDevice.isCard(), "the card is what it is");
    TestDevice.load();
    SoftwareDevice.set("CAPABILITY", "7.5");
    try (CudaBackend backend = TestDevice.open()) {
      var e = assertThrows(DeviceException.class, () -> backend.multiplyInTf32(true));
      assertEquals(
          "precision: no TF32; got cuda:0 of compute capability 7.5; need 8.0 or later, or"
              + " --precision f32",
          e.getMessage());
    }
  }
}
