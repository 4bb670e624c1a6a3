package fornax.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.Pool2dOptions;
import fornax.backend.Unary;
import fornax.backend.reference.ReferenceBackend;
import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.HostRandom;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LayersTest {
  private final ReferenceBackend backend = new ReferenceBackend();
  private final Weights weights = Weights.on(backend, 11);
  private Scope scope;

  @BeforeEach
  @SuppressWarnings("MustBeClosed") // by nothingIsLeft
  void open() {
    scope = Scope.open();
  }

  @AfterEach
  void nothingIsLeft() {
    scope.close();
    assertEquals(List.of(), backend.memory().leaks());
    backend.close();
  }

  private Tensor normals(int stream, long... dims) {
    Shape shape = Shape.of(dims);
    return Tensors.on(backend).of(HostRandom.normals(5, 0, stream, (int) shape.elements()), shape);
  }

  private static Tensor parameter(Module module, String path) {
    return Objects.requireNonNull(module.parameters().get(path), path);
  }

  private static void assertClose(Tensor expected, Tensor actual, double tolerance) {
    assertEquals(expected.shape(), actual.shape());
    assertArrayEquals(expected.toDoubleArray(), actual.toDoubleArray(), tolerance);
  }

  @Test
  void linear_isMatmulBiasAndActivation() {
    try (var layer = new Linear(weights, 5, 3, Unary.GELU_TANH)) {
      Tensor x = normals(0, 2, 7, 5);
      Tensor expected = x.matmul(layer.weight()).add(parameter(layer, "bias")).geluTanh();
      assertClose(expected, layer.forward(x), 1e-6);
      assertThrows(ShapeException.class, () -> layer.forward(normals(0, 2, 4)));
    }
  }

  @Test
  void linear_startsUniformAsPyTorchDoes() {
    try (var layer = new Linear(weights, 100, 400)) {
      for (String name : List.of("weight", "bias")) {
        double[] values = parameter(layer, name).toDoubleArray();
        double most = Arrays.stream(values).map(Math::abs).max().orElseThrow();
        double mean = Arrays.stream(values).average().orElseThrow();
        double square = Arrays.stream(values).map(v -> v * v).average().orElseThrow();
        double error = 5 / Math.sqrt(values.length); // five standard errors, generously
        assertTrue(most <= 0.1 && most > 0.098, name + " " + most);
        assertEquals(0, mean, 0.1 * error, name);
        assertEquals(0.01 / 3, square, 0.01 * error, name);
      }
    }
  }

  @Test
  void linear_withoutBias_hasNone() {
    try (var layer = new Linear(weights, 5, 3, Linear.Options.DEFAULT.withoutBias())) {
      assertEquals(List.of("weight"), List.copyOf(layer.parameters().keySet()));
      Tensor x = normals(0, 7, 5);
      assertClose(x.matmul(layer.weight()), layer.forward(x), 1e-6);
    }
  }

  @Test
  void initializers_haveTheirMoments() {
    float[] normal = Initializer.normal(0.02).values(Shape.of(100, 500), 3, 0);
    double square = 0;
    for (float value : normal) {
      square += (double) value * value;
    }
    assertEquals(0.02, Math.sqrt(square / normal.length), 0.02 * 0.02);
    assertArrayEquals(new float[] {1, 1}, Initializer.ones().values(Shape.of(2), 3, 0));
    assertArrayEquals(new float[] {0, 0}, Initializer.zeros().values(Shape.of(2), 3, 0));
    float[] kaiming = Initializer.kaimingUniform().values(Shape.of(400, 10), 3, 0);
    for (float value : kaiming) {
      assertTrue(Math.abs(value) <= 0.05f, "beyond 1/√400: " + value);
    }
  }

  @Test
  void conv2d_ofASequenceIsACrossCorrelation() {
    Tensor x = Tensors.on(backend).of(new float[] {1, 2, 3, 4, 5}, Shape.of(1, 1, 1, 5));
    Tensor w = Tensors.on(backend).of(new float[] {1, 2, 3}, Shape.of(1, 1, 1, 3));
    assertArrayEquals(new float[] {14, 20, 26}, x.conv2d(w, null).toFloatArray());
  }

  // Against the sum as it is written in the contract.
  @Test
  void conv2d_sumsWhatTheFilterSees() {
    var options = new Conv2dOptions(Extent.of(2, 1), Extent.of(1, 2), Extent.of(1, 2), 2);
    try (var layer = new Conv2d(weights, 4, 6, Extent.of(3, 2), options, true)) {
      Tensor x = normals(0, 2, 4, 5, 6);
      Tensor y = layer.forward(x);
      assertEquals(Shape.of(2, 6, 3, 8), y.shape());
      double[] xs = x.toDoubleArray();
      double[] ws = layer.weight().toDoubleArray();
      double[] expected = new double[(int) y.elements()];
      for (int i = 0; i < expected.length; i++) {
        int n = i / (6 * 3 * 8);
        int o = i / (3 * 8) % 6;
        int row = i / 8 % 3 * 2 - 1;
        int column = i % 8 - 2;
        expected[i] = parameter(layer, "bias").toDoubleArray()[o];
        for (int k = 0; k < 2 * 3 * 2; k++) {
          int c = o / 3 * 2 + k / 6;
          int h = row + k / 2 % 3;
          int w = column + k % 2 * 2;
          if (h >= 0 && h < 5 && w >= 0 && w < 6) {
            expected[i] += xs[((n * 4 + c) * 5 + h) * 6 + w] * ws[o * 12 + k];
          }
        }
      }
      assertArrayEquals(expected, y.toDoubleArray(), 1e-5);
    }
  }

  @Test
  void conv2d_startsUniformAsPyTorchDoes() {
    try (var layer = new Conv2d(weights, 8, 64, 5)) {
      assertEquals(Shape.of(64, 8, 5, 5), layer.weight().shape());
      for (Tensor parameter : layer.parameters().values()) {
        double most = Arrays.stream(parameter.toDoubleArray()).map(Math::abs).max().orElseThrow();
        assertTrue(most <= 1 / Math.sqrt(200) && most > 0.9 / Math.sqrt(200), "" + most);
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> new Conv2d(weights, 8, 6, 3, Conv2dOptions.DEFAULT.withGroups(4)));
    }
  }

  @Test
  void maxPool2d_givesTheGradientToTheFirstOfEquals() {
    Tensor x =
        Tensors.on(backend)
            .of(new float[] {1, 3, 2, 2, 3, 0, 2, 2}, Shape.of(1, 1, 2, 4))
            .requiresGrad(true);
    Tensor y = new MaxPool2d(2).forward(x);
    assertArrayEquals(new float[] {3, 2}, y.toFloatArray());
    y.mul(Tensors.on(backend).of(new float[] {5, 7}, Shape.of(2))).sum().backward();
    assertArrayEquals(
        new float[] {0, 5, 7, 0, 0, 0, 0, 0}, Objects.requireNonNull(x.grad()).toFloatArray());
  }

  @Test
  void avgPool2d_countsThePadding() {
    Tensor x = Tensors.on(backend).of(new float[] {1, 2, 3, 4}, Shape.of(1, 1, 2, 2));
    var options = Pool2dOptions.of(2).withPadding(1);
    assertArrayEquals(
        new float[] {0.25f, 0.5f, 0.75f, 1}, new AvgPool2d(options).forward(x).toFloatArray());
    assertThrows(IllegalArgumentException.class, () -> options.withPadding(2));
  }

  @Test
  void flatten_keepsTheFirstAxis() {
    assertEquals(Shape.of(2, 12), new Flatten().forward(normals(0, 2, 3, 4)).shape());
    assertEquals(Shape.of(0, 0), new Flatten().forward(normals(0, 0, 3, 4)).shape());
  }

  @Test
  void batchNorm_normalizesEachChannelAndKeepsRunningNumbers() {
    try (var layer = new BatchNorm(weights, 2, 0.25, 1e-5)) {
      Tensor x = normals(0, 3, 2, 5).mul(3).add(2);
      Tensor y = layer.forward(x);
      for (int channel = 0; channel < 2; channel++) {
        Tensor one = y.select(1, channel);
        assertEquals(0, one.mean().item(), 1e-6);
        assertEquals(1, one.populationVariance().item(), 1e-5);
        Tensor given = x.select(1, channel);
        var state = layer.state();
        assertEquals(
            0.25 * given.mean().item(),
            Objects.requireNonNull(state.get("running_mean")).toDoubleArray()[channel],
            1e-6);
        assertEquals(
            0.75 + 0.25 * given.variance().item(),
            Objects.requireNonNull(state.get("running_var")).toDoubleArray()[channel],
            1e-5);
      }
      assertEquals(1, Objects.requireNonNull(layer.state().get("num_batches_tracked")).item());
      assertEquals(List.of("weight", "bias"), List.copyOf(layer.parameters().keySet()));
      ShapeException e =
          assertThrows(ShapeException.class, () -> layer.forward(normals(1, 1, 2, 1)));
      assertEquals(
          "batchNorm: one element in each channel; got [1, 2, 1]; need more, whose deviation can be"
              + " taken",
          e.getMessage());
    }
  }

  @Test
  void batchNorm_usesTheRunningNumbersInEvaluation() {
    try (var layer = new BatchNorm(weights, 3)) {
      Tensor _ = layer.forward(normals(0, 7, 3));
      layer.eval();
      Tensor mean = Objects.requireNonNull(layer.state().get("running_mean"));
      Tensor variance = Objects.requireNonNull(layer.state().get("running_var"));
      Tensor x = normals(1, 1, 3);
      assertClose(x.sub(mean).div(variance.add(1e-5).sqrt()), layer.forward(x), 1e-6);
      assertEquals(1, Objects.requireNonNull(layer.state().get("num_batches_tracked")).item());
      assertThrows(ShapeException.class, () -> layer.forward(normals(1, 1, 4)));
    }
  }

  @Test
  void embedding_looksUpAndCollectsRepeatedRows() {
    try (var layer = new Embedding(weights, 6, 2)) {
      Tensor indices = Tensors.on(backend).of(new int[] {3, 0, 3}, Shape.of(1, 3));
      Tensor y = layer.forward(indices);
      assertEquals(Shape.of(1, 3, 2), y.shape());
      float[] table = layer.weight().toFloatArray();
      assertArrayEquals(
          new float[] {table[6], table[7], table[0], table[1], table[6], table[7]},
          y.toFloatArray());
      y.sum().backward();
      assertArrayEquals(
          new float[] {1, 1, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0},
          Objects.requireNonNull(layer.weight().grad()).toFloatArray());
    }
  }

  @Test
  void norms_followTheirFormulas() {
    try (var layerNorm = new LayerNorm(weights, 5);
        var rmsNorm = new RmsNorm(weights, 5)) {
      Tensor weight = normals(1, 5);
      Tensor bias = normals(2, 5);
      try (var _ = GradMode.noGrad()) {
        var _ = parameter(layerNorm, "weight").copyInPlace(weight);
        var _ = parameter(layerNorm, "bias").copyInPlace(bias);
        var _ = parameter(rmsNorm, "weight").copyInPlace(weight);
      }
      Tensor x = normals(0, 3, 5);
      Tensor centred = x.sub(x.mean(1, true));
      Tensor deviation = centred.square().mean(1, true).add(1e-5).sqrt();
      assertClose(centred.div(deviation).mul(weight).add(bias), layerNorm.forward(x), 1e-6);
      Tensor root = x.square().mean(1, true).add(1e-5).sqrt();
      assertClose(x.div(root).mul(weight), rmsNorm.forward(x), 1e-6);
    }
  }

  @Test
  void dropout_dropsInTrainingAlone() {
    try (var generator = new Generator(backend, 1);
        var layer = new Dropout(0.25, generator)) {
      Tensor x = Tensors.on(backend).ones(DType.F32, Shape.of(10_000));
      float[] y = layer.forward(x).toFloatArray();
      int dropped = 0;
      for (float value : y) {
        assertTrue(value == 0 || value == 4f / 3, "" + value);
        dropped += value == 0 ? 1 : 0;
      }
      assertEquals(2500, dropped, 5 * Math.sqrt(10_000 * 0.25 * 0.75));
      layer.eval();
      assertSame(x, layer.forward(x));
      assertThrows(IllegalArgumentException.class, () -> new Dropout(1, generator));
    }
  }

  @Test
  void selfAttention_isMultiHeadAttentionUnderACausalMask() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0, generator);
        var causal = CausalSelfAttention.of(weights, 6, 2, dropout);
        var masked = new MultiHeadAttention(weights, 6, 2, dropout)) {
      Tensor x = normals(0, 2, 5, 6);
      try (var _ = GradMode.noGrad()) {
        List<String> parts = List.of("query", "key", "value");
        for (int i = 0; i < 3; i++) {
          String part = parts.get(i);
          var _ =
              parameter(masked, part + ".weight")
                  .copyInPlace(parameter(causal, "qkv.weight").slice(1, 6 * i, 6 * i + 6));
          var _ =
              parameter(masked, part + ".bias")
                  .copyInPlace(parameter(causal, "qkv.bias").slice(0, 6 * i, 6 * i + 6));
        }
        var _ =
            parameter(masked, "projection.weight")
                .copyInPlace(parameter(causal, "projection.weight"));
        var _ =
            parameter(masked, "projection.bias").copyInPlace(parameter(causal, "projection.bias"));
      }
      boolean[] sees = new boolean[25];
      for (int i = 0; i < 25; i++) {
        sees[i] = i % 5 <= i / 5;
      }
      Tensor mask = Tensors.on(backend).of(sees, Shape.of(5, 5));
      Tensor y = causal.forward(x);
      assertEquals(x.shape(), y.shape());
      assertClose(masked.forward(x, x, mask), y, 1e-6);
    }
  }

  @Test
  void selfAttention_seesNoFuture() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0, generator);
        var layer = CausalSelfAttention.of(weights, 6, 3, dropout)) {
      Tensor x = normals(0, 1, 4, 6);
      Tensor changed =
          Tensor.concat(1, x.slice(1, 0, 3), normals(1, 1, 1, 6)); // another last position
      float[] a = layer.forward(x).toFloatArray();
      float[] b = layer.forward(changed).toFloatArray();
      assertArrayEquals(Arrays.copyOf(a, 18), Arrays.copyOf(b, 18));
      assertTrue(a[18] != b[18]);
    }
  }

  @Test
  void selfAttention_dropsInTrainingAlone() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0.5, generator);
        var layer = CausalSelfAttention.of(weights, 6, 3, dropout)) {
      Tensor x = normals(0, 1, 4, 6);
      float[] first = layer.forward(x).toFloatArray();
      assertTrue(!Arrays.equals(first, layer.forward(x).toFloatArray()), "other streams");
      generator.setStep(0);
      float[] start = layer.forward(x).toFloatArray();
      generator.setStep(0);
      assertArrayEquals(start, layer.forward(x).toFloatArray(), "the same step again");
      layer.eval();
      assertArrayEquals(layer.forward(x).toFloatArray(), layer.forward(x).toFloatArray());
    }
  }

  @Test
  void dropout_drawsForWeightsAndResults() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0.5, generator);
        var causal = CausalSelfAttention.of(weights, 6, 3, dropout);
        var full = new MultiHeadAttention(weights, 6, 3, dropout);
        var feedForward = FeedForward.of(weights, 6, Unary.RELU, dropout)) {
      Tensor x = normals(0, 1, 4, 6);
      Tensor _ = causal.forward(x);
      assertEquals(2, generator.nextStream(), "attention weights and the result");
      Tensor _ = full.forward(x);
      assertEquals(3 + 2, generator.nextStream(), "attention weights and the result");
      Tensor _ = feedForward.forward(x);
      assertEquals(6 + 1, generator.nextStream(), "the result");
    }
  }

  @Test
  void multiHeadAttention_takesAnotherSequence() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0, generator);
        var layer = new MultiHeadAttention(weights, 6, 2, dropout)) {
      Tensor y = layer.forward(normals(0, 2, 3, 6), normals(1, 2, 7, 6), null);
      assertEquals(Shape.of(2, 3, 6), y.shape());
      y.square().sum().backward();
      layer
          .parameters()
          .forEach((path, p) -> assertEquals(p.shape(), Objects.requireNonNull(p.grad()).shape()));
    }
  }

  @Test
  void attention_rejectsWidthsThatHeadsDoNotDivide() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0, generator)) {
      var e =
          assertThrows(ShapeException.class, () -> new MultiHeadAttention(weights, 10, 3, dropout));
      assertEquals(
          "attention: width not divisible by heads; got width 10 and heads 3; need a multiple",
          e.getMessage());
      try (var qkv = new Linear(weights, 6, 17);
          var projection = new Linear(weights, 6, 6)) {
        assertThrows(
            ShapeException.class, () -> new CausalSelfAttention(qkv, projection, 2, dropout));
      }
    }
  }

  @Test
  void feedForward_expandsAndContracts() {
    try (var generator = new Generator(backend, 1);
        var dropout = new Dropout(0, generator);
        var layer = FeedForward.of(weights, 3, Unary.RELU, dropout)) {
      assertEquals(Shape.of(3, 12), parameter(layer, "expand.weight").shape());
      Tensor x = normals(0, 4, 3);
      Tensor inner =
          x.matmul(parameter(layer, "expand.weight")).add(parameter(layer, "expand.bias")).relu();
      Tensor expected =
          inner.matmul(parameter(layer, "contract.weight")).add(parameter(layer, "contract.bias"));
      assertClose(expected, layer.forward(x), 1e-6);
    }
  }

  @Test
  void sequential_holdsOneIntermediateAtATimeWithoutATape() {
    try (var network =
            new Sequential(
                Activation.relu(), Activation.tanh(), Activation.silu(), Activation.relu());
        var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor x = Tensors.on(backend).ones(DType.F32, Shape.of(1000));
      long before = backend.memory().stats().live();
      backend.memory().resetPeak();
      Tensor y = network.forward(x);
      assertEquals(before + 4000, backend.memory().stats().live());
      assertEquals(before + 8000, backend.memory().stats().peak());
      assertEquals(x.silu().tanh().elements(), y.elements());
      assertEquals(false, x.isClosed());
    }
  }
}
