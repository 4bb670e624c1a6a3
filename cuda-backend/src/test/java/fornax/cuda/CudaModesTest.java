package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The kernels whose threads work together, in the software device's modes: orders of threads and
/// streams, preemption, and the search for races of shared memory. The rest of the suite runs in
/// random order with lazy streams.
class CudaModesTest {
  private static final String TOGETHER =
      "sum|max|argmax|softmax|logSoftmax|layerNorm|rmsNorm|crossEntropy|embedding|cumulativeSum"
          + "|sort|topK|matmul|linear|transpose|dropout|attention.causalMasked";

  @BeforeEach
  void load() {
    assumeFalse(TestDevice.isCard(), "modes are the software device's");
    TestDevice.load();
  }

  @AfterEach
  void reset() {
    if (!TestDevice.isCard()) {
      SoftwareDevice.reset();
    }
  }

  private static void choose(String mode) {
    for (String setting : mode.split(" ")) {
      String[] pair = setting.split("=");
      SoftwareDevice.set(pair[0], pair[1]);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ORDER=forward STREAMS=eager",
        "ORDER=reverse STREAMS=random",
        "ORDER=random STREAMS=lazy PREEMPT=50 RACES=1 SEED=7",
      })
  void operations_agreeWithTheReference(String mode) {
    choose(mode);
    List<String> failures = new ArrayList<>();
    int checked = 0;
    try (Backend backend = TestDevice.open();
        Backend reference = new ReferenceBackend()) {
      for (OpCase operation : OpCases.all()) {
        if (!operation.name().matches(TOGETHER)) {
          continue;
        }
        for (OpCase.Variant variant : operation.variants()) {
          for (CaseResult result : SelfTest.check(variant, DType.F32, reference, backend)) {
            checked++;
            if (!result.passed()) {
              failures.add(result.toString());
            }
          }
        }
      }
    }
    assertEquals(List.of(), failures);
    assertTrue(checked > 100, "checked " + checked);
  }

  /// Results depend on no order of threads or blocks.
  @Test
  void bits_areTheSameInEveryOrder() {
    List<float[]> first = bits("ORDER=forward STREAMS=eager");
    for (String mode :
        List.of("ORDER=reverse STREAMS=lazy", "ORDER=random SEED=3 PREEMPT=100 STREAMS=random")) {
      List<float[]> other = bits(mode);
      for (int i = 0; i < first.size(); i++) {
        assertArrayEquals(first.get(i), other.get(i), mode + ", result " + i);
      }
    }
  }

  private static List<float[]> bits(String mode) {
    choose(mode);
    List<float[]> results = new ArrayList<>();
    try (var backend = TestDevice.open();
        var _ = Scope.open()) {
      Tensors on = Tensors.on(backend);
      Tensor x = numbers(on, 70, 530).requiresGrad(true);
      Tensor w = numbers(on, 530, 9).requiresGrad(true);
      Tensor norm = on.ones(DType.F32, Shape.of(530)).requiresGrad(true);
      Tensor table = numbers(on, 5, 40).requiresGrad(true);
      int[] indices = new int[300];
      for (int i = 0; i < indices.length; i++) {
        indices[i] = i * i % 5;
      }
      Tensor rows = table.embedding(on.of(indices, Shape.of(300)));
      Tensor y = x.layerNorm(norm, null, 1e-5).softmax(-1).matmul(w);
      Tensor loss = y.sum().add(rows.mul(numbers(on, 300, 40)).sum());
      loss.backward();
      results.add(loss.toFloatArray());
      results.add(y.toFloatArray());
      results.add(numbers(on, 20_011, 1).sum().toFloatArray());
      for (Tensor parameter : List.of(x, w, norm, table)) {
        Tensor gradient = parameter.grad();
        if (gradient == null) {
          throw new AssertionError("no gradient");
        }
        results.add(gradient.toFloatArray());
      }
    }
    return results;
  }

  // Not round, so that the order of additions shows.
  private static Tensor numbers(Tensors on, int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) StrictMath.sin(i * 12.9898) * 3;
    }
    return on.of(values, Shape.of(rows, columns));
  }
}
