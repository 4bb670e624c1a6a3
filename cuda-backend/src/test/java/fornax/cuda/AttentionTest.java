package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Decomposed;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.Tolerance;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Attention without an array of scores against the default body, over odd lengths and widths of
/// heads, with threads in random order, preempted, and races looked for.
class AttentionTest {
  /// Queries, keys, width of queries and keys, width of values: more than one tile each way, edges
  /// inside tiles, rows that begin at no multiple of 16 bytes, more queries than keys and fewer.
  private static final long[][] SIZES = {
    {33, 33, 64, 64},
    {65, 97, 64, 60},
    {129, 129, 32, 32},
    {97, 65, 40, 40},
    {67, 67, 128, 128},
    {31, 70, 80, 96},
    {1, 65, 127, 33},
  };

  @AfterEach
  void reset() {
    if (!TestDevice.isCard()) {
      SoftwareDevice.reset();
    }
  }

  private static void preempt() {
    TestDevice.load();
    if (!TestDevice.isCard()) {
      SoftwareDevice.set("ORDER", "random");
      SoftwareDevice.set("SEED", "11");
      SoftwareDevice.set("PREEMPT", "50");
      SoftwareDevice.set("RACES", "1");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "F32, false, 0",
    "F32, true, 0",
    "F32, true, 0.3",
    "BF16, false, 0",
    "BF16, true, 0",
    "BF16, true, 0.3",
    "F16, true, 0.3"
  })
  void attention_agreesWithTheDefaultBody(DType type, boolean causal, double dropout) {
    preempt();
    try (CudaBackend backend = TestDevice.open();
        Backend truth = new Decomposed(new ReferenceBackend())) {
      for (long[] size : SIZES) {
        List<double[]> ours = run(backend, type, type, size, causal, dropout);
        List<double[]> wanted = run(truth, DType.F64, type, size, causal, dropout);
        for (int i = 0; i < ours.size(); i++) {
          double error = Tolerance.error(ours.get(i), wanted.get(i));
          double allowed = allowed(type);
          String what = List.of("y", "dq", "dk", "dv").get(i);
          assertTrue(
              error <= allowed,
              () -> what + " of " + java.util.Arrays.toString(size) + ": error " + error);
        }
      }
    }
  }

  private static double allowed(DType type) {
    return type == DType.F32 ? 2e-6 : type == DType.BF16 ? 0x1p-7 : 0x1.8p-10;
  }

  /// Turing's tensor cores, Volta's ordinary cores.
  @ParameterizedTest
  @ValueSource(strings = {"7.5", "7.0"})
  void olderCards_computeInF16(String capability) {
    TestDevice.load();
    Assumptions.assumeFalse(TestDevice.isCard(), "a card is what it is");
    preempt();
    SoftwareDevice.set("CAPABILITY", capability);
    try (CudaBackend backend = TestDevice.open();
        Backend truth = new Decomposed(new ReferenceBackend())) {
      for (int width : new int[] {64, 128}) {
        long[] size = {67, 97, width, width - 4};
        List<double[]> ours = run(backend, DType.F16, DType.F16, size, true, 0);
        List<double[]> wanted = run(truth, DType.F64, DType.F16, size, true, 0);
        for (int i = 0; i < ours.size(); i++) {
          assertEquals(0, Tolerance.error(ours.get(i), wanted.get(i)), allowed(DType.F16));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "BF16", "F16"})
  void bits_areTheSameInEveryOrder(DType type) {
    TestDevice.load();
    long[] size = {65, 65, 33, 33};
    List<double[]> first;
    try (CudaBackend backend = TestDevice.open()) {
      first = run(backend, type, type, size, true, 0.2);
    }
    preempt();
    try (CudaBackend backend = TestDevice.open()) {
      List<double[]> second = run(backend, type, type, size, true, 0.2);
      for (int i = 0; i < first.size(); i++) {
        assertArrayEquals(first.get(i), second.get(i));
      }
    }
  }

  /// One launch forward, two backward, and no memory that grows with the square of the length.
  @Test
  void attention_needsNoArrayOfScores() {
    try (CudaBackend backend = TestDevice.open();
        var _ = Scope.open()) {
      Tensors on = Tensors.on(backend);
      Tensor q = numbers(on, DType.F32, DType.F32, 1, Shape.of(1, 1, 300, 16));
      Tensor y = Tensor.attention(q, q, q, AttentionSpec.CAUSAL);
      long launches = backend.device().launches();
      Tensor.attention(q, q, q, AttentionSpec.CAUSAL).close();
      assertEquals(1, backend.device().launches() - launches);
      y.backward(y.detach());
      assertTrue(
          backend.memory().stats().peak() < 300 * 300 * 4, () -> "" + backend.memory().stats());
    }
  }

  private static List<double[]> run(
      Backend backend, DType type, DType rounded, long[] size, boolean causal, double dropout) {
    try (var _ = Scope.open();
        var generator = new Generator(backend, 5)) {
      Tensors on = Tensors.on(backend);
      Tensor q = numbers(on, type, rounded, 1, Shape.of(2, 1, size[0], size[2]));
      Tensor k = numbers(on, type, rounded, 2, Shape.of(2, 1, size[1], size[2]));
      Tensor v = numbers(on, type, rounded, 3, Shape.of(2, 1, size[1], size[3]));
      AttentionSpec spec = causal ? AttentionSpec.CAUSAL : AttentionSpec.FULL;
      if (dropout > 0) {
        spec = spec.withDropout(dropout, generator);
      }
      Tensor y = Tensor.attention(q, k, v, spec);
      y.backward(numbers(on, type, rounded, 4, y.shape()).detach());
      List<double[]> results = new ArrayList<>();
      results.add(y.toDoubleArray());
      for (Tensor input : List.of(q, k, v)) {
        Tensor gradient = input.grad();
        if (gradient == null) {
          throw new AssertionError("no gradient");
        }
        results.add(gradient.toDoubleArray());
      }
      return results;
    }
  }

  // Normal numbers that the type `rounded` holds exactly.
  private static Tensor numbers(Tensors on, DType type, DType rounded, int seed, Shape shape) {
    Random random = new Random(seed);
    double[] values = new double[Math.toIntExact(shape.elements())];
    for (int i = 0; i < values.length; i++) {
      float value = (float) random.nextGaussian();
      values[i] = rounded.isHalf() ? rounded.fromHalf(rounded.toHalf(value)) : value;
    }
    return on.of(values, type, shape).requiresGrad(true);
  }
}
