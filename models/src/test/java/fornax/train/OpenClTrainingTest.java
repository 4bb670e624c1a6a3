package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.data.CharTokenizer;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.train.TrainOptions.OptimizerOptions;
import fornax.train.TrainOptions.Reports;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Training on OpenCL is training on the CPU: from the same bits, with the same random numbers, to
/// the same losses but for rounding.
class OpenClTrainingTest {
  private static final int STEPS = 20;

  @BeforeEach
  void requireDevice() {
    Devices.requireOpenCl();
  }

  // Whatever multiplies on this machine: the bar is for the CPU's products in Java.
  @BeforeAll
  static void multiplyInJava() {
    System.setProperty("fornax.cpu.matmul", "java");
  }

  @AfterAll
  static void multiplyByDefault() {
    System.clearProperty("fornax.cpu.matmul");
  }

  @Test
  void initialWeights_areTheCpusBitForBit() {
    GptConfig config = new GptConfig(65, 32, 2, 2, 48, 0.1);
    try (Backend cpu = Devices.open("cpu");
        Backend opencl = Devices.open("opencl");
        var expected = new Gpt(config, Weights.on(cpu, 11));
        var model = new Gpt(config, Weights.on(opencl, 11))) {
      Map<String, Tensor> got = model.parameters();
      assertEquals(expected.parameters().keySet(), got.keySet());
      expected
          .parameters()
          .forEach((name, wanted) -> assertArrayEquals(bits(wanted), bits(got.get(name)), name));
    }
  }

  private static int[] bits(@Nullable Tensor parameter) {
    assertNotNull(parameter);
    float[] values = parameter.toFloatArray();
    int[] bits = new int[values.length];
    Arrays.setAll(bits, i -> Float.floatToRawIntBits(values[i]));
    return bits;
  }

  @Test
  void dropoutMasks_areTheCpusBitForBit() {
    for (double p : new double[] {0.1, 0.5}) {
      float[] mask = dropped("cpu", p);
      assertArrayEquals(mask, dropped("opencl", p));
      long kept = 0;
      for (float value : mask) {
        kept += value == 0 ? 0 : 1;
      }
      assertEquals(1 - p, (double) kept / mask.length, 0.02);
    }
  }

  private static float[] dropped(String device, double p) {
    try (Backend backend = Devices.open(device);
        var generator = new Generator(backend, 3);
        var _ = Scope.open()) {
      generator.setStep(17);
      return Tensors.on(backend)
          .ones(DType.F32, Shape.of(77, 131))
          .dropout(p, generator)
          .toFloatArray();
    }
  }

  /// How far a loss may be from the CPU's in the same precision.
  @ParameterizedTest
  @CsvSource({"F32, 5e-6", "BF16, 1e-3"})
  void losses_areTheCpus(Precision precision, double tolerance) throws IOException {
    List<Double> cpu = losses("cpu", precision);
    List<Double> opencl = losses("opencl", precision);
    assertEquals(cpu.size(), opencl.size());
    assertTrue(cpu.get(STEPS - 1) < cpu.getFirst() - 0.3, cpu::toString);
    for (int i = 0; i < cpu.size(); i++) {
      assertEquals(cpu.get(i), opencl.get(i), tolerance, "loss " + i);
    }
  }

  // Of each step, with dropout; then those of the evaluations, without.
  private static List<Double> losses(String device, Precision precision) throws IOException {
    String text = Texts.dickens();
    CharTokenizer tokenizer = CharTokenizer.of(text);
    TokenDataset data = TokenDataset.of(tokenizer.encode(text), 32);
    GptConfig config = new GptConfig(tokenizer.vocabularySize(), 32, 2, 2, 48, 0.1);
    TrainOptions options =
        TrainOptions.builder(STEPS, 4, new OptimizerOptions(1e-2, 1e-3, 2, 0.9, 0.99, 0.1, 1))
            .reports(new Reports(STEPS / 4, 2, 0))
            .seed(7)
            .precision(precision)
            .build();
    List<Double> steps = new ArrayList<>();
    List<Double> evaluations = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void stepped(StepReport report) {
            steps.add(report.loss());
          }

          @Override
          public void evaluated(int step, Evaluation validation) {
            evaluations.add(validation.loss());
          }

          @Override
          public void sampleDue(int step) {}
        };
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7));
        var trainer = new Trainer(model, data, options)) {
      assertEquals(STEPS, trainer.run(listener, () -> false).steps());
      assertTrue(backend.memory().stats().live() > 0);
    }
    steps.addAll(evaluations);
    return steps;
  }
}
