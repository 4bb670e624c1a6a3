package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.MemoryStats;
import fornax.data.CharTokenizer;
import fornax.data.EvaluationBatches;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.train.TrainOptions.Decay;
import fornax.train.TrainOptions.OptimizerOptions;
import fornax.train.TrainOptions.Reports;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class TrainerTest {
  private static final int CONTEXT = 16;
  private static final OptimizerOptions RECIPE =
      new OptimizerOptions(1e-2, 1e-3, 10, 0.9, 0.99, 0.1, 1);

  private static TokenDataset data;
  private static GptConfig config;

  @BeforeAll
  static void loadDickens() throws IOException {
    String text = Texts.dickens();
    CharTokenizer tokenizer = CharTokenizer.of(text);
    data = TokenDataset.of(tokenizer.encode(text), CONTEXT);
    config = new GptConfig(tokenizer.vocabularySize(), CONTEXT, 1, 2, 16, 0);
  }

  /// Keeps what it is told.
  static class Recorder implements TrainingListener {
    final List<StepReport> steps = new ArrayList<>();
    final List<Integer> evaluations = new ArrayList<>();
    final List<Integer> samples = new ArrayList<>();

    @Override
    public void stepped(StepReport report) {
      steps.add(report);
    }

    @Override
    public void evaluated(int step, Evaluation validation) {
      assertTrue(steps.size() == step, "news of step " + step + " came late");
      evaluations.add(step);
    }

    @Override
    public void sampleDue(int step) {
      samples.add(step);
    }

    double[] losses() {
      return steps.stream().mapToDouble(StepReport::loss).toArray();
    }
  }

  private static TrainOptions options(int steps, int batch, int accumulate, Reports reports) {
    return TrainOptions.builder(steps, batch, RECIPE)
        .accumulate(accumulate)
        .reports(reports)
        .seed(7)
        .build();
  }

  private static final Reports NONE = Reports.NONE;

  /// A model that knew no more than how often each character occurs would get 3.05.
  @ParameterizedTest
  @CsvSource({"reference, 60, 3.4", "cpu, 600, 2.7"})
  void run_learnsEnglish(String device, int steps, double most) throws IOException {
    var record = new Recorder();
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7));
        var trainer =
            new Trainer(model, data, options(steps, 8, 1, new Reports(steps / 3, 4, steps / 2)))) {
      Trainer.Result result = trainer.run(record, () -> false);
      Evaluation validation = result.validation();
      assertNotNull(validation);
      assertEquals(Math.log(config.vocabulary()), record.steps.getFirst().loss(), 0.1);
      assertTrue(validation.loss() < most, "validation loss " + validation.loss());
      assertEquals(validation.loss(), result.trainLoss(), 0.2);
      assertEquals(steps, result.steps());
      assertEquals(0, result.health().skipped());
      assertEquals(steps / 10, result.trainLossSteps());
      assertFalse(result.validationIsWhole());
      assertEquals(16_384, validation.tokens());
    }
    assertEquals(steps, record.steps.size());
    for (int i = 0; i < record.steps.size(); i++) {
      assertEquals(i + 1, record.steps.get(i).step());
    }
    assertEquals(List.of(0, steps / 3, steps / 3 * 2, steps), record.evaluations);
    assertEquals(List.of(0, steps / 2), record.samples);
    assertEquals(1e-3, record.steps.getFirst().learningRate(), 1e-12);
    assertEquals(1e-2, record.steps.get(9).learningRate(), 1e-12);
    assertEquals(1e-3, record.steps.getLast().learningRate(), 2e-5);
  }

  @Test
  void schedules_areWhatTheirNamesSay() throws IOException {
    // 20 steps: 2 of warm-up to 0.01, and down to 0.001.
    double straight = 0.009 / 18;
    double[] cosine = rates(Decay.COSINE);
    assertEquals(0.001 + 0.0045 * (1 + Math.cos(Math.PI * 8 / 18)), cosine[10], 1e-12);
    assertEquals(0.01 - 8 * straight, rates(Decay.LINEAR)[10], 1e-12);
    assertEquals(0.01 - 17 * straight, rates(Decay.LINEAR)[19], 1e-12);
    double[] wsd = rates(Decay.WSD);
    assertEquals(0.01, wsd[10], 1e-12);
    assertEquals(0.01, wsd[18], 1e-12);
    assertEquals(0.0055, wsd[19], 1e-12);
    assertEquals(0.01, rates(Decay.CONSTANT)[19], 1e-12);
    for (Decay decay : Decay.values()) {
      assertEquals(0.005, rates(decay)[0], 1e-12, decay.toString());
      assertEquals(0.01, rates(decay)[1], 1e-12, decay.toString());
    }
  }

  private static double[] rates(Decay decay) {
    var recipe = new OptimizerOptions(0.01, 0.001, 2, 0.9, 0.99, 0.1, 1, decay);
    var schedule = TrainOptions.builder(20, 1, recipe).build().schedule();
    return IntStream.range(0, 20).mapToDouble(schedule::rate).toArray();
  }

  @Test
  void oneBatch_isLearntByHeart() throws IOException {
    double[] all = losses("cpu", config, options(300, 1, 2, NONE));
    double[] one =
        losses("cpu", config, options(300, 1, 2, NONE).toBuilder().overfitOneBatch(true).build());
    assertEquals(all[0], one[0]);
    assertTrue(all[299] > 1.5, "of all: " + all[299]);
    assertTrue(one[299] < 0.1, "of one: " + one[299]);
  }

  @Test
  void labelSmoothing_isOfTheTrainingLoss() throws IOException {
    double[] plain = losses("cpu", config, options(20, 2, 1, NONE));
    double[] smooth =
        losses("cpu", config, options(20, 2, 1, NONE).toBuilder().labelSmoothing(0.5).build());
    // At first all tokens are nearly equally likely, and each target costs as much.
    assertEquals(plain[0], smooth[0], 0.05);
    assertTrue(smooth[19] > plain[19] + 0.1, plain[19] + " and " + smooth[19]);
  }

  private static double[] losses(String device, GptConfig config, TrainOptions options)
      throws IOException {
    var record = new Recorder();
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7));
        var trainer = new Trainer(model, data, options)) {
      assertEquals(options.steps(), trainer.run(record, () -> false).steps());
    }
    return record.losses();
  }

  @ParameterizedTest
  @CsvSource({"reference, 0", "reference, 0.2", "cpu, 0", "cpu, 0.2"})
  void run_isDeterminedByItsSeed(String device, double dropout) throws IOException {
    GptConfig dropping = config.withDropout(dropout);
    double[] first = losses(device, dropping, options(15, 4, 1, NONE));
    assertTrue(
        Arrays.equals(first, losses(device, dropping, options(15, 4, 1, NONE))),
        "two runs of one seed differ");
    // What is reported on the way changes nothing.
    assertTrue(
        Arrays.equals(first, losses(device, dropping, options(15, 4, 1, new Reports(3, 2, 5)))),
        "evaluations change the training");
  }

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void accumulation_equalsALargerBatch(String device) throws IOException {
    double[] whole = losses(device, config, options(20, 6, 1, NONE));
    double[] parts = losses(device, config, options(20, 2, 3, NONE));
    for (int i = 0; i < whole.length; i++) {
      assertEquals(whole[i], parts[i], 2e-5, "step " + (i + 1));
    }
  }

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void stop_endsAfterTheStep(String device) throws IOException {
    var record = new Recorder();
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7));
        var trainer = new Trainer(model, data, options(1000, 2, 1, NONE))) {
      Trainer.Result result = trainer.run(record, () -> record.steps.size() == 3);
      // One more step was under way when the third was reported.
      assertEquals(4, result.steps());
      assertEquals(4, record.steps.size());
      assertNull(result.validation());
    }
  }

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void evaluation_isTheMeanOverAllTokens(String device) throws IOException {
    int[] tokens = new int[3 * CONTEXT + 6]; // a last window that overlaps the one before
    Arrays.setAll(tokens, i -> (i * 7) % config.vocabulary());
    try (Backend backend = Devices.open(device);
        var model = new Gpt(config, Weights.on(backend, 7))) {
      Evaluation evaluation = Evaluation.of(model, EvaluationBatches.of(tokens, 2, CONTEXT));
      assertTrue(model.isTraining(), "the mode has changed");
      assertEquals(tokens.length - 1, evaluation.tokens());
      double sum = 0;
      for (int target = 1; target < tokens.length; target++) {
        // The window that a target belongs to, from its beginning to just before the target.
        int window = Math.min((target - 1) / CONTEXT * CONTEXT, tokens.length - 1 - CONTEXT);
        sum +=
            -Math.log(
                probability(model, Arrays.copyOfRange(tokens, window, target), tokens[target]));
      }
      assertEquals(sum / (tokens.length - 1), evaluation.loss(), 2e-5);
      assertEquals(Math.exp(evaluation.loss()), evaluation.perplexity(), 1e-9);
    }
  }

  private static double probability(Gpt model, int[] before, int token) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor x = Tensors.on(model.backend()).of(before, Shape.of(1, before.length));
      Tensor logits = model.nextLogits(x);
      return logits.softmax(-1).toFloatArray()[token];
    }
  }

  /// Live, peak and cached bytes and requests to the system stay as they are after step 10.
  private static void assertFlat(String device, int steps, Reports reports, Precision precision)
      throws IOException {
    try (Backend backend = Devices.open(device)) {
      var watch =
          new Recorder() {
            MemoryStats ten = new MemoryStats(0, 0, 0, 0, 0, 0, 0);

            @Override
            public void stepped(StepReport report) {
              super.stepped(report);
              MemoryStats now = backend.memory().stats();
              if (report.step() == 10) {
                ten = now;
              } else if (report.step() > 10) {
                assertEquals(ten.live(), now.live(), "live after step " + report.step());
                assertEquals(ten.peak(), now.peak(), "peak after step " + report.step());
                assertEquals(ten.cached(), now.cached(), "cached after step " + report.step());
                assertEquals(ten.buffers(), now.buffers(), "buffers after step " + report.step());
                assertEquals(
                    ten.systemRequests(),
                    now.systemRequests(),
                    "requests after step " + report.step());
              }
            }
          };
      try (var model = new Gpt(config, Weights.on(backend, 7));
          var trainer =
              new Trainer(
                  model,
                  data,
                  options(steps, 2, 2, reports).toBuilder().precision(precision).build())) {
        assertEquals(steps, trainer.run(watch, () -> false).steps());
      }
      MemoryStats after = backend.memory().stats();
      assertEquals(0, after.live(), () -> backend.memory().report());
      assertEquals(0, after.buffers());
    }
  }

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void memory_isFlat(String device) throws IOException {
    for (Precision precision : List.of(Precision.F32, Precision.BF16)) {
      assertFlat(device, 60, new Reports(7, 2, 0), precision);
    }
  }

  @Tag("slow")
  @Test
  void memory_isFlatOverAThousandSteps() throws IOException {
    assertFlat("cpu", 1000, new Reports(100, 2, 0), Precision.F32);
  }

  @Test
  void options_cannotBeWrong() {
    assertThrows(IllegalArgumentException.class, () -> options(0, 1, 1, NONE));
    assertThrows(IllegalArgumentException.class, () -> options(20, 0, 1, NONE));
    assertThrows(IllegalArgumentException.class, () -> options(20, 1, 0, NONE));
    assertThrows(IllegalArgumentException.class, () -> options(9, 1, 1, NONE));
    assertThrows(IllegalArgumentException.class, () -> new Reports(-1, 1, 0));
    assertThrows(IllegalArgumentException.class, () -> new Reports(0, 0, 0));
    assertThrows(IllegalArgumentException.class, () -> recipe(Double.NaN, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> recipe(0, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> recipe(1e-3, 1e-2, 1));
    assertThrows(IllegalArgumentException.class, () -> recipe(1e-3, 0, -1));
  }

  private static OptimizerOptions recipe(double rate, double minRate, double clip) {
    return new OptimizerOptions(rate, minRate, 0, 0.9, 0.99, 0.1, clip);
  }
}
