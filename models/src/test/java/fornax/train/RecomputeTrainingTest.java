package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backend;
import fornax.backend.MemoryStats;
import fornax.data.CharTokenizer;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.Tensor;
import fornax.train.TrainOptions.OptimizerOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Training that computes blocks again in backward beside training that keeps what they hold.
class RecomputeTrainingTest {
  private static final int STEPS = 3;

  /// @param numbers of each step: loss and gradient norm
  /// @param parameters all of them, in order
  /// @param peakBytes the most memory that was live, beside what is live between steps
  private record Trained(List<Double> numbers, List<float[]> parameters, long peakBytes) {}

  private static Trained train(String device, Precision precision, int accumulate, boolean again)
      throws IOException {
    String text = Texts.dickens();
    CharTokenizer tokenizer = CharTokenizer.of(text);
    TokenDataset data = TokenDataset.of(tokenizer.encode(text), 32);
    GptConfig config = new GptConfig(tokenizer.vocabularySize(), 32, 5, 2, 48, 0.1);
    TrainOptions options =
        TrainOptions.builder(STEPS, 8, new OptimizerOptions(1e-2, 1e-3, 2, 0.9, 0.99, 0.1, 1))
            .accumulate(accumulate)
            .seed(7)
            .precision(precision)
            .recompute(again)
            .build();
    List<Double> numbers = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void stepped(StepReport report) {
            numbers.add(report.loss());
            numbers.add(report.gradientNorm());
          }

          @Override
          public void evaluated(int step, Evaluation validation) {}

          @Override
          public void sampleDue(int step) {}
        };
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7));
        var trainer = new Trainer(model, data, options)) {
      backend.memory().resetPeak();
      var _ = trainer.run(listener, () -> false);
      MemoryStats memory = backend.memory().stats();
      return new Trained(
          numbers,
          model.parameters().values().stream().map(Tensor::toFloatArray).toList(),
          memory.peak() - memory.live());
    }
  }

  @ParameterizedTest
  @CsvSource({"cpu, F32, 2", "cpu, BF16, 1", "opencl, BF16, 2"})
  void recomputing_givesTheSameBitsInLessMemory(String device, Precision precision, int accumulate)
      throws IOException {
    if (device.equals("opencl")) {
      Devices.requireOpenCl();
    }
    Trained kept = train(device, precision, accumulate, false);
    Trained again = train(device, precision, accumulate, true);
    assertEquals(kept.numbers(), again.numbers());
    assertTrue(kept.numbers().getFirst() > kept.numbers().get(2 * STEPS - 2));
    for (int i = 0; i < kept.parameters().size(); i++) {
      assertArrayEquals(kept.parameters().get(i), again.parameters().get(i));
    }
    assertTrue(
        again.peakBytes() < 0.5 * kept.peakBytes(),
        again.peakBytes() + " bytes at most; without, " + kept.peakBytes());
  }
}
