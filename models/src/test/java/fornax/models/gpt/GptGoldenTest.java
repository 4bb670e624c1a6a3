package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.io.SafeTensors;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.testkit.GoldenFiles;
import java.io.IOException;
import java.util.Arrays;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A tiny GPT-2 against PyTorch's double precision.
class GptGoldenTest {
  private static final GptConfig TINY = new GptConfig(97, 32, 2, 3, 48, 0);
  private static final int STEPS = 10;
  private static final double RATE = 1e-3;
  private static final double TOLERANCE = 1e-5;

  static Stream<String> devices() {
    return Devices.names();
  }

  private static Gpt tiny(Backend backend) throws IOException {
    var gpt = new Gpt(TINY, Weights.zeros(backend, 0));
    assertEquals("pt", gpt.load(GoldenFiles.copy("tiny_gpt2.safetensors")).get("format"));
    return gpt;
  }

  private static void assertClose(String what, double[] truth, double[] actual) {
    double scale = Math.max(1, Arrays.stream(truth).map(Math::abs).max().orElse(0));
    assertEquals(truth.length, actual.length, what);
    for (int i = 0; i < truth.length; i++) {
      assertEquals(truth[i], actual[i], TOLERANCE * scale, what);
    }
  }

  private static Tensor tokens(Backend backend, SafeTensors golden, String name)
      throws IOException {
    return Tensors.on(backend).of(golden.ints(name), golden.entry(name).shape());
  }

  @ParameterizedTest
  @MethodSource("devices")
  void logits_lossAndGradients(String device) throws IOException {
    try (var golden = GoldenFiles.open("tiny_gpt2_golden.safetensors");
        var backend = Devices.open(device);
        var gpt = tiny(backend);
        var _ = Scope.open()) {
      Tensor inputs = tokens(backend, golden, "inputs.0");
      Tensor targets = tokens(backend, golden, "targets.0");
      Tensor logits = gpt.logits(inputs);
      assertEquals(Shape.of(4, 29, 97), logits.shape());
      assertClose("logits", golden.doubles("f64.logits"), logits.toDoubleArray());
      Tensor loss = gpt.loss(inputs, targets);
      assertClose("loss", golden.doubles("f64.loss"), loss.toDoubleArray());
      loss.backward();
      int compared = 0;
      for (var entry : gpt.storedParameters().entrySet()) {
        Tensor gradient = Objects.requireNonNull(entry.getValue().grad(), entry.getKey());
        double[] truth = golden.doubles("f64.grad." + entry.getKey());
        assertClose("gradient of " + entry.getKey(), truth, gradient.toDoubleArray());
        compared++;
      }
      assertEquals(2 + 2 * 12 + 2, compared);
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void weights_afterAdamWSteps(String device) throws IOException {
    var options = AdamW.Options.DEFAULT.withBetas(0.9, 0.95);
    try (var golden = GoldenFiles.open("tiny_gpt2_golden.safetensors");
        var backend = Devices.open(device);
        var gpt = tiny(backend);
        var clip = GradientClip.byGlobalNorm(backend, 1);
        var optimizer =
            new AdamW(
                ParameterGroup.decayMatrices(gpt.parameters(), 0.1),
                Schedule.constant(RATE),
                options)) {
      double[] losses = new double[STEPS];
      double[] norms = new double[STEPS];
      for (int step = 0; step < STEPS; step++) {
        try (var _ = Scope.open()) {
          Tensor inputs = tokens(backend, golden, "inputs." + step);
          Tensor loss = gpt.loss(inputs, tokens(backend, golden, "targets." + step));
          loss.backward();
          optimizer.step(clip.scale(optimizer.parameters()));
          optimizer.zeroGrad();
          losses[step] = loss.item();
          norms[step] = clip.readNorm().getAsDouble();
        }
        if (step == 0 || step == STEPS - 1) {
          compare(golden, gpt, step + 1);
        }
      }
      assertClose("losses", golden.doubles("f64.losses"), losses);
      assertClose("norms", golden.doubles("f64.grad_norms"), norms);
    }
  }

  private static void compare(SafeTensors golden, Gpt gpt, int steps) throws IOException {
    int noisy = 0;
    for (var entry : gpt.storedParameters().entrySet()) {
      String name = entry.getKey();
      double[] truth = golden.doubles("f64.step" + steps + "." + name);
      double[] actual = entry.getValue().toDoubleArray();
      boolean[] noise = noise(name, golden.doubles("f64.grad." + name));
      for (int i = 0; i < noise.length; i++) {
        if (noise[i]) {
          assertEquals(truth[i], actual[i], RATE * steps, name);
          actual[i] = truth[i];
          noisy++;
        }
      }
      assertClose(name + " after step " + steps, truth, actual);
    }
    int keys = TINY.layers() * TINY.width();
    assertTrue(
        noisy >= keys && noisy <= keys + 10, "noise: " + noisy + " of " + gpt.parameterCount());
  }

  // AdamW divides a gradient by its own size, however small, and so scales rounding noise up to as
  // much as the rate in each step. Noise is the gradient of the keys' biases, truly 0 because
  // softmax ignores a shift, and what is in truth below 32 units in the last place of its tensor's
  // largest.
  private static boolean[] noise(String name, double[] gradient) {
    double largest = Arrays.stream(gradient).map(Math::abs).max().orElseThrow();
    boolean[] noise = new boolean[gradient.length];
    for (int i = 0; i < noise.length; i++) {
      boolean key = name.endsWith("attn.c_attn.bias") && i / TINY.width() == 1;
      double size = Math.abs(gradient[i]);
      noise[i] = key || size > 0 && size < 32 * 0x1p-23 * largest;
    }
    return noise;
  }

  @ParameterizedTest
  @MethodSource("devices")
  void greedy_continuation(String device) throws IOException {
    try (var golden = GoldenFiles.open("tiny_gpt2_golden.safetensors");
        var backend = Devices.open(device);
        var gpt = tiny(backend)) {
      int[] expected = golden.ints("greedy.tokens");
      assertTrue(expected.length > 20);
      int[] tokens =
          new TextGenerator(gpt)
              .generate(golden.ints("greedy.prompt"), expected.length, Sampling.GREEDY);
      assertArrayEquals(expected, tokens);
    }
  }
}
