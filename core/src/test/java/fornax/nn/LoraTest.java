package fornax.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.Unary;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LoraTest {
  private static final int IN = 6;
  private static final int OUT = 5;

  private Backend backend;
  private Generator generator;
  private Sequential network;

  @BeforeEach
  void make() {
    backend = Backends.open("reference").backend();
    generator = new Generator(backend, 3);
    Weights weights = Weights.on(backend, 1);
    network =
        new Sequential(
            new Linear(weights, IN, 8, Unary.GELU_TANH),
            new LayerNorm(weights, 8),
            new Linear(weights, 8, OUT));
  }

  @AfterEach
  void close() {
    network.close();
    generator.close();
    backend.close();
  }

  private Tensor input() {
    float[] values = new float[4 * IN];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    return Tensors.on(backend).of(values, Shape.of(4, IN));
  }

  private float[] output() {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      return network.forward(input()).toFloatArray();
    }
  }

  private Map<String, float[]> frozen() {
    Map<String, float[]> values = new LinkedHashMap<>();
    network
        .parameters()
        .forEach(
            (path, tensor) -> {
              if (!path.contains(".lora.")) {
                values.put(path, tensor.toFloatArray());
              }
            });
    return values;
  }

  private void adapt(Lora.Options options) {
    Lora.apply(network, options, Weights.on(backend, 2), generator);
  }

  /// Steps that pull the outputs to 1.
  private void learn(int steps) {
    try (var optimizer =
        new AdamW(ParameterGroup.of(network.trainableParameters(), 0), Schedule.constant(1e-2))) {
      for (int i = 0; i < steps; i++) {
        try (var _ = Scope.open()) {
          generator.setStep(i);
          network.forward(input()).sub(1).square().mean().backward();
          optimizer.step();
          optimizer.zeroGrad();
        }
      }
    }
  }

  private double distance() {
    double sum = 0;
    for (float value : output()) {
      sum += (value - 1) * (value - 1);
    }
    return sum;
  }

  private static Tensor parameter(Module module, String path) {
    return Objects.requireNonNull(module.parameters().get(path));
  }

  private static Module part(Module module, String name) {
    return Objects.requireNonNull(module.children().get(name));
  }

  private static String message(Throwable error) {
    return String.valueOf(error.getMessage());
  }

  @Test
  void apply_changesNothingAtFirst() {
    float[] before = output();
    adapt(Lora.Options.ofRank(2));
    assertArrayEquals(before, output());
    assertEquals(
        List.of("0.lora.a", "0.lora.b", "2.lora.a", "2.lora.b"),
        List.copyOf(network.trainableParameters().sequencedKeySet()));
    assertEquals(Shape.of(IN, 2), parameter(network, "0.lora.a").shape());
    assertEquals(Shape.of(2, 8), parameter(network, "0.lora.b").shape());
  }

  @Test
  void training_movesAdaptersAlone() {
    adapt(new Lora.Options(2, 4, 0.1));
    Map<String, float[]> before = frozen();
    assertEquals(6, before.size());
    double far = distance();
    learn(30);
    frozen().forEach((path, values) -> assertArrayEquals(before.get(path), values, path));
    network
        .parameters()
        .forEach((path, tensor) -> assertEquals(path.contains(".lora."), tensor.requiresGrad()));
    network.eval();
    assertTrue(distance() < far / 2, far + " to " + distance());
  }

  @Test
  void backward_givesFrozenParametersNoGradient() {
    adapt(Lora.Options.ofRank(2));
    try (var _ = Scope.open()) {
      network.forward(input()).square().mean().backward();
      network
          .parameters()
          .forEach(
              (path, tensor) -> {
                if (path.contains(".lora.")) {
                  assertNotNull(tensor.gradArray(), path);
                } else {
                  assertNull(tensor.gradArray(), path);
                }
              });
    }
  }

  @Test
  void forward_isTheFormula() {
    var layer = (Linear) part(network, "2");
    Lora.apply(layer, new Lora.Options(3, 6, 0), Weights.on(backend, 2), generator);
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor a = parameter(layer, "lora.a");
      Tensor b = parameter(layer, "lora.b");
      Tensor _ = b.copyInPlace(Tensors.on(backend).ones(b.dtype(), b.shape()));
      Tensor x = Tensors.on(backend).range(a.dtype(), 0, 0.1, 16).reshape(2, 8);
      Tensor expected =
          x.matmul(layer.weight().add(a.matmul(b).mul(2))).add(parameter(layer, "bias"));
      assertArrayEquals(expected.toFloatArray(), layer.forward(x).toFloatArray(), 1e-5f);
    }
  }

  @Test
  void merge_computesTheSame() {
    adapt(new Lora.Options(2, 8, 0));
    learn(20);
    float[] before = output();
    Lora.merge(network);
    assertArrayEquals(before, output(), 1e-5f);
    assertEquals(6, network.parameters().size());
    assertEquals(6, network.trainableParameters().size());
    assertFalse(network.summary().contains("lora"));
    adapt(Lora.Options.ofRank(1)); // and again
    assertArrayEquals(before, output(), 1e-5f);
  }

  @Test
  void apply_followsModeAndPrecision() {
    network.eval();
    network.computeIn(Precision.BF16);
    float[] before = output();
    adapt(Lora.Options.ofRank(2).withDropout(0.5));
    var adapter = part(part(network, "0"), "lora");
    assertFalse(adapter.isTraining());
    assertEquals(Precision.BF16, adapter.precision());
    assertArrayEquals(before, output(), 0.05f); // GELU is rounded in between
  }

  @Test
  void apply_saysWhatIsWrong() {
    adapt(Lora.Options.ofRank(2));
    var twice = assertThrows(IllegalArgumentException.class, () -> adapt(Lora.Options.ofRank(2)));
    assertTrue(message(twice).contains("has adapters already"), message(twice));
    var rank = assertThrows(IllegalArgumentException.class, () -> Lora.Options.ofRank(0).scale());
    assertTrue(message(rank).contains("got 0 and 0.0"), message(rank));
    try (var norm = new LayerNorm(Weights.on(backend, 1), 4)) {
      var none =
          assertThrows(
              IllegalArgumentException.class,
              () -> Lora.apply(norm, Lora.Options.ofRank(1), Weights.on(backend, 1), generator));
      assertTrue(message(none).contains("no linear layer"), message(none));
    }
  }
}
