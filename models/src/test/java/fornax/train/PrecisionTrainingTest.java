package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.DeviceException;
import fornax.data.CharTokenizer;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.Tensor;
import fornax.train.TrainOptions.OptimizerOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Training in BF16 and F16 beside training in F32, on one device and another.
class PrecisionTrainingTest {
  private static final String THREADS = "fornax.threads"; // read by Settings
  private static final String MATMUL = "fornax.cpu.matmul"; // likewise
  private static final int CONTEXT = 32;
  private static final OptimizerOptions RECIPE =
      new OptimizerOptions(2e-3, 2e-4, 5, 0.9, 0.99, 0.1, 1);

  private static TokenDataset data;
  private static GptConfig config;

  // Whatever multiplies on this machine: single losses of two trainings in 16 bits lie apart by
  // chance.
  @BeforeAll
  static void multiplyInJava() {
    System.setProperty(MATMUL, "java");
  }

  @AfterAll
  static void multiplyByDefault() {
    System.clearProperty(MATMUL);
  }

  @BeforeAll
  static void loadDickens() throws IOException {
    String text = Texts.dickens();
    CharTokenizer tokenizer = CharTokenizer.of(text);
    data = TokenDataset.of(tokenizer.encode(text), CONTEXT);
    config = new GptConfig(tokenizer.vocabularySize(), CONTEXT, 2, 2, 48, 0.1);
  }

  /// What came out of a training.
  ///
  /// @param losses of each step
  /// @param parameters all of them, in order
  /// @param peakBytes the most memory that was live
  private record Trained(List<Double> losses, List<float[]> parameters, long peakBytes) {}

  private static Trained train(String device, GptConfig sizes, Precision precision, int steps)
      throws IOException {
    List<Double> losses = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void stepped(StepReport report) {
            losses.add(report.loss());
          }

          @Override
          public void evaluated(int step, Evaluation validation) {}

          @Override
          public void sampleDue(int step) {}
        };
    var options = TrainOptions.builder(steps, 8, RECIPE).seed(7).precision(precision).build();
    try (Backend backend = Backends.open(device).backend();
        var model = new Gpt(sizes, Weights.on(backend, 7));
        var trainer = new Trainer(model, data, options)) {
      var _ = trainer.run(listener, () -> false);
      long peak = backend.memory().stats().peak();
      for (Tensor parameter : model.parameters().values()) {
        assertEquals(DType.F32, parameter.dtype());
      }
      return new Trained(
          losses, model.parameters().values().stream().map(Tensor::toFloatArray).toList(), peak);
    }
  }

  private static double distance(List<Double> a, List<Double> b) {
    assertEquals(a.size(), b.size());
    double most = 0;
    for (int i = 0; i < a.size(); i++) {
      most = Math.max(most, Math.abs(a.get(i) - b.get(i)));
    }
    return most;
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void sixteenBits_learnAsF32DoesAndAreNotF32(Precision precision) throws IOException {
    List<Double> full = train("cpu", config, Precision.F32, 60).losses();
    List<Double> low = train("cpu", config, precision, 60).losses();
    assertTrue(low.getLast() < low.getFirst() - 0.5, low::toString);
    double distance = distance(full, low);
    assertTrue(distance > 0 && distance < 2e-2, "the losses differ by up to " + distance);
  }

  @Test
  void bf16_givesTheSameBitsForAnyNumberOfThreads() throws IOException {
    String before = System.getProperty(THREADS);
    try {
      System.setProperty(THREADS, "1");
      Trained alone = train("cpu", config, Precision.BF16, 12);
      for (String threads : List.of("2", "3", "7")) {
        System.setProperty(THREADS, threads);
        Trained together = train("cpu", config, Precision.BF16, 12);
        assertEquals(alone.losses(), together.losses(), threads + " threads");
        for (int i = 0; i < alone.parameters().size(); i++) {
          assertArrayEquals(
              alone.parameters().get(i), together.parameters().get(i), threads + " threads");
        }
      }
    } finally {
      if (before == null) {
        System.clearProperty(THREADS);
      } else {
        System.setProperty(THREADS, before);
      }
    }
  }

  @Test
  void bf16_takesLessMemory() throws IOException {
    // Deep and narrow: mostly activations, as larger models on longer texts are.
    var larger = new GptConfig(config.vocabulary(), CONTEXT, 6, 2, 32, 0);
    long full = train("cpu", larger, Precision.F32, 6).peakBytes();
    long low = train("cpu", larger, Precision.BF16, 6).peakBytes();
    assertTrue(low < 0.8 * full, low + " bytes in bf16, " + full + " in f32");
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16"})
  void sixteenBits_onOpenClLoseAsOnTheCpu(Precision precision) throws IOException {
    List<Double> ours;
    try {
      ours = train("opencl", config, precision, 40).losses();
    } catch (DeviceException e) {
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("opencl")) {
        fail("opencl is required by -Dfornax.require but absent: " + e.getMessage());
      }
      abort("opencl is absent: " + e.getMessage());
      return;
    }
    List<Double> cpu = train("cpu", config, precision, 40).losses();
    double distance = distance(cpu, ours);
    assertTrue(distance <= 1e-3, "the losses differ by up to " + distance);
  }
}
