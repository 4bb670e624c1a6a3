package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Owner;
import fornax.data.CharTokenizer;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Lora;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import fornax.train.TrainOptions.OptimizerOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A GPT whose adapters learn.
class LoraTrainingTest {
  private static final int CONTEXT = 32;
  private static final int STEPS = 20;
  private static final Lora.Options OPTIONS = new Lora.Options(4, 8, 0.05);

  private static TokenDataset data;
  private static GptConfig config;

  @BeforeAll
  static void read() throws IOException {
    String text = Texts.dickens();
    CharTokenizer tokenizer = CharTokenizer.of(text);
    data = TokenDataset.of(tokenizer.encode(text), CONTEXT);
    config = new GptConfig(tokenizer.vocabularySize(), CONTEXT, 2, 2, 32, 0.1);
  }

  /// What training came to.
  ///
  /// @param losses of the steps
  /// @param adapters after them
  /// @param optimizerBytes of memory while they were taken
  /// @param gradientBytes likewise, the most
  private record Trained(
      List<Double> losses, List<float[]> adapters, long optimizerBytes, long gradientBytes) {}

  private static TrainOptions options(Precision precision, boolean recompute) {
    return TrainOptions.builder(STEPS, 8, new OptimizerOptions(1e-2, 1e-3, 2, 0.9, 0.99, 0.1, 1))
        .seed(7)
        .precision(precision)
        .recompute(recompute)
        .build();
  }

  private static Trained train(Backend backend, Gpt model, TrainOptions options)
      throws IOException {
    List<Double> losses = new ArrayList<>();
    long[] gradients = {0};
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void stepped(StepReport report) {
            losses.add(report.loss());
            gradients[0] = Math.max(gradients[0], backend.memory().live(Owner.GRADIENTS));
          }

          @Override
          public void evaluated(int step, Evaluation validation) {}

          @Override
          public void sampleDue(int step) {}
        };
    try (var trainer = new Trainer(model, data, options)) {
      var _ = trainer.run(listener, () -> false);
      return new Trained(
          losses,
          model.adapters().values().stream().map(tensor -> tensor.toFloatArray()).toList(),
          backend.memory().live(Owner.OPTIMIZER),
          gradients[0]);
    }
  }

  private static Gpt model(Backend backend) {
    return new Gpt(config, Weights.on(backend, 7));
  }

  private static void adapt(Gpt model) {
    Lora.apply(model, OPTIONS, Weights.on(model.backend(), ~7), model.generator());
  }

  private static Map<String, float[]> base(Gpt model) {
    Map<String, float[]> values = new LinkedHashMap<>();
    model
        .storedParameters()
        .forEach(
            (name, tensor) -> {
              if (!model.adapters().containsKey(name)) {
                values.put(name, tensor.toFloatArray());
              }
            });
    return values;
  }

  @ParameterizedTest
  @CsvSource({"cpu, F32", "cpu, BF16", "opencl, F32"})
  void training_movesNoBitOfTheWeights(String device, Precision precision) throws IOException {
    if (device.equals("opencl")) {
      Devices.requireOpenCl();
    }
    try (Backend backend = Devices.open(device);
        var model = model(backend)) {
      adapt(model);
      assertEquals(2 * 4 * 2, model.adapters().size());
      Map<String, float[]> before = base(model);
      assertEquals(
          config.parameterCount(), before.values().stream().mapToLong(v -> v.length).sum());
      Trained trained = train(backend, model, options(precision, false));
      base(model).forEach((name, values) -> assertArrayEquals(before.get(name), values, name));
      assertTrue(
          trained.losses().getLast() < trained.losses().getFirst() - 0.05,
          () -> trained.losses().toString());
    }
  }

  @Test
  void optimizer_holdsMomentsOfAdaptersAlone() throws IOException {
    long whole;
    try (Backend backend = Devices.open("cpu");
        var model = model(backend)) {
      whole = train(backend, model, options(Precision.F32, false)).optimizerBytes();
    }
    try (Backend backend = Devices.open("cpu");
        var model = model(backend)) {
      adapt(model);
      long adapters =
          model.adapters().values().stream().mapToLong(tensor -> tensor.elements()).sum();
      Trained trained = train(backend, model, options(Precision.F32, false));
      long numbers = trained.optimizerBytes() - 2 * Float.BYTES * adapters; // clipping, rates
      assertTrue(numbers >= 0 && numbers < 4096, "besides, " + numbers + " bytes");
      assertTrue(4 * trained.optimizerBytes() < whole, trained.optimizerBytes() + " of " + whole);
    }
  }

  @Test
  void recomputing_givesTheSameBits() throws IOException {
    List<Trained> both = new ArrayList<>();
    for (boolean again : new boolean[] {false, true}) {
      try (Backend backend = Devices.open("cpu");
          var model = model(backend)) {
        adapt(model);
        both.add(train(backend, model, options(Precision.F32, again)));
      }
    }
    assertEquals(both.getFirst().losses(), both.getLast().losses());
    for (int i = 0; i < both.getFirst().adapters().size(); i++) {
      assertArrayEquals(both.getFirst().adapters().get(i), both.getLast().adapters().get(i));
    }
  }

  @Test
  void merging_computesTheSame() throws IOException {
    try (Backend backend = Devices.open("cpu");
        var model = model(backend)) {
      adapt(model);
      var _ = train(backend, model, options(Precision.F32, false));
      model.eval();
      float[] before = logits(model);
      Lora.merge(model);
      assertTrue(model.adapters().isEmpty());
      assertArrayEquals(before, logits(model), 1e-5f);
      assertFalse(model.parameters().values().stream().anyMatch(p -> !p.requiresGrad()));
    }
  }

  static float[] logits(Gpt model) {
    int[] tokens = new int[CONTEXT];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = i * 7 % model.config().vocabulary();
    }
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      return model
          .logits(Tensors.on(model.backend()).of(tokens, Shape.of(1, tokens.length)))
          .toFloatArray();
    }
  }
}
