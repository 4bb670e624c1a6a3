package fornax.models.mlp;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.HostRandom;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class MlpTest {
  static Stream<String> devices() {
    return Devices.names();
  }

  private static void train(Mlp mlp, Tensor x, Tensor targets, int steps) {
    try (var optimizer =
        new AdamW(ParameterGroup.of(mlp.parameters(), 0), Schedule.cosine(0.03, 0, 10, steps))) {
      for (int i = 0; i < steps; i++) {
        try (var _ = Scope.open()) {
          mlp.loss(x, targets).backward();
          optimizer.step();
          optimizer.zeroGrad();
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void training_learnsXor(String device) {
    try (var backend = Devices.open(device);
        var mlp = new Mlp(MlpConfig.of(2, 16, 2), Weights.on(backend, 1));
        var _ = Scope.open()) {
      Tensor x = Tensors.on(backend).of(new float[] {0, 0, 0, 1, 1, 0, 1, 1}, Shape.of(4, 2));
      Tensor targets = Tensors.on(backend).of(new int[] {0, 1, 1, 0}, Shape.of(4));
      train(mlp, x, targets, 200);
      assertArrayEquals(new int[] {0, 1, 1, 0}, mlp.classify(x).toIntArray());
      assertTrue(mlp.loss(x, targets).item() < 0.05);
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void training_separatesTwoMoons(String device) {
    try (var backend = Devices.open(device);
        var mlp = new Mlp(MlpConfig.of(2, 32, 32, 2), Weights.on(backend, 1));
        var _ = Scope.open()) {
      int[] classes = new int[400];
      Tensor x = moons(backend, 0, classes);
      Tensor targets = Tensors.on(backend).of(classes, Shape.of(400));
      train(mlp, x, targets, 200);
      int[] unseenClasses = new int[400];
      Tensor unseen = moons(backend, 1, unseenClasses);
      int[] found = mlp.classify(unseen).toIntArray();
      int right = 0;
      for (int i = 0; i < 400; i++) {
        right += found[i] == unseenClasses[i] ? 1 : 0;
      }
      assertTrue(right >= 390, "right: " + right + " of 400"); // a straight line gets about 350
    }
  }

  private static Tensor moons(Backend backend, int stream, int[] classes) {
    float[] uniform = HostRandom.uniforms(5, 0, stream, classes.length);
    float[] noise = HostRandom.normals(5, 1, stream, 2 * classes.length);
    float[] points = new float[2 * classes.length];
    for (int i = 0; i < classes.length; i++) {
      classes[i] = i % 2;
      double angle = Math.PI * uniform[i];
      boolean upper = classes[i] == 0;
      double px = upper ? Math.cos(angle) : 1 - Math.cos(angle);
      double py = upper ? Math.sin(angle) : 0.5 - Math.sin(angle);
      points[2 * i] = (float) (px + 0.1 * noise[2 * i]);
      points[2 * i + 1] = (float) (py + 0.1 * noise[2 * i + 1]);
    }
    return Tensors.on(backend).of(points, Shape.of(classes.length, 2));
  }

  @Test
  void parameters_haveThePublishedCount() {
    MlpConfig config = MlpConfig.of(784, 128, 64, 10);
    assertEquals(784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10, config.parameterCount());
    assertEquals(784, config.inputs());
    assertEquals(10, config.classes());
    try (var backend = Devices.open("reference");
        var mlp = new Mlp(config, Weights.on(backend, 1))) {
      assertEquals(config.parameterCount(), mlp.parameterCount());
      assertEquals("layers.0.weight", mlp.parameters().firstEntry().getKey());
    }
  }

  @Test
  void sizes_thatCannotBeAreErrors() {
    var e = assertThrows(IllegalArgumentException.class, () -> MlpConfig.of(784));
    assertEquals(
        "mlp: sizes not usable; got [784]; need at least inputs and classes, all of at least 1",
        e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> new MlpConfig(List.of(3, 0, 2)));
  }
}
