package fornax.models.learn;

import fornax.backend.Backends;
import fornax.data.CharTokenizer;
import fornax.data.EvaluationBatches;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.data.TrainingBatches;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/// From one head of attention to a GPT, one part at a time, on Dickens letter by letter. The recipe
/// is that of `train --preset nano`.
final class TransformerSteps implements Rung {
  private static final int CONTEXT = 64;
  private static final int WIDTH = 128;
  private static final int BATCH = 12;
  private static final int WARMUP = 100;
  private static final int SHARE = 8; // of the held-out windows for all but the whole

  @Override
  public String name() {
    return "transformer";
  }

  @Override
  public String title() {
    return "from one head of attention to a GPT, one part at a time, each with its loss";
  }

  /// A name, and what it adds to the parts before it.
  private record Step(String name, String key, Set<Decoder.Part> added) {
    static Step of(String name, String key, Decoder.Part... added) {
      return new Step(name, key, Set.of(added));
    }
  }

  private static final List<Step> STEPS =
      List.of(
          Step.of("one head", "oneHead"),
          Step.of("four heads", "fourHeads", Decoder.Part.FOUR_HEADS),
          Step.of("+ feed-forward", "feedForward", Decoder.Part.FEED_FORWARD),
          Step.of("+ residuals", "residuals", Decoder.Part.RESIDUALS),
          Step.of("+ layer norm", "layerNorm", Decoder.Part.LAYER_NORM),
          Step.of("GELU for ReLU", "gelu", Decoder.Part.GELU),
          Step.of("+ sine positions", "sinusoids", Decoder.Part.SINUSOIDS),
          Step.of("learned positions", "learnedPositions", Decoder.Part.LEARNED_POSITIONS),
          Step.of("four blocks: the whole", "whole", Decoder.Part.FOUR_BLOCKS));

  @Override
  public void run(Lesson lesson) throws IOException {
    String text = Texts.dickens();
    CharTokenizer tokenizer = CharTokenizer.of(text);
    TokenDataset data = TokenDataset.of(tokenizer.encode(text), CONTEXT);
    Set<Decoder.Part> parts = EnumSet.noneOf(Decoder.Part.class);
    List<Double> losses = new ArrayList<>();
    lesson.say("nats per character of the held-out tenth:");
    for (Step step : STEPS) {
      parts.addAll(step.added());
      boolean whole = parts.contains(Decoder.Part.FOUR_BLOCKS);
      double loss = study(lesson, parts, tokenizer.vocabularySize(), data, whole);
      losses.add(loss);
      lesson.say("  %-24s %.4f", step.name(), loss);
      lesson.figure(step.key(), loss);
    }
    lesson.picture("transformer", bars(losses));
  }

  /// The validation loss after training.
  private static double study(
      Lesson lesson, Set<Decoder.Part> parts, int vocabulary, TokenDataset data, boolean whole) {
    int steps = lesson.choose(whole ? 2000 : 600, 15);
    TrainingBatches batches = data.trainingBatches(lesson.setup().seed(), BATCH);
    int[] inputs = new int[BATCH * CONTEXT];
    int[] targets = new int[inputs.length];
    Weights weights = Weights.seeded(lesson.setup().seed());
    try (var _ = Scope.open();
        var model = new Decoder(parts, vocabulary, CONTEXT, WIDTH, weights);
        var clip = GradientClip.byGlobalNorm(Backends.current(), 1);
        var optimizer =
            new AdamW(
                ParameterGroup.decayMatrices(model.parameters(), 0.1),
                Schedule.cosine(1e-3, 1e-4, Math.min(WARMUP, steps), steps),
                AdamW.Options.DEFAULT.withBetas(0.9, 0.99))) {
      var _ =
          lesson.train(
              steps,
              optimizer,
              clip,
              step -> {
                batches.fill(step, inputs, targets);
                return model.loss(tokens(inputs), tokens(targets));
              });
      int all = data.evaluationBatches(BATCH).count() * BATCH;
      int windows = lesson.setup().quick() ? BATCH : whole ? all : all / SHARE;
      return evaluate(model, data.evaluationBatches(BATCH, windows));
    }
  }

  private static Tensor tokens(int[] values) {
    return Tensor.of(values, BATCH, CONTEXT);
  }

  private static double evaluate(Decoder model, EvaluationBatches batches) {
    int[] inputs = new int[BATCH * CONTEXT];
    int[] targets = new int[inputs.length];
    double sum = 0;
    long count = 0;
    try (var _ = GradMode.noGrad()) {
      for (int i = 0; i < batches.count(); i++) {
        int counted = batches.fill(i, inputs, targets);
        try (var _ = Scope.open()) {
          sum += counted * model.loss(tokens(inputs), tokens(targets)).item();
        }
        count += counted;
      }
    }
    return sum / count;
  }

  private static Picture bars(List<Double> losses) {
    Bars bars = new Bars("Held-out loss as parts are added (nats per character)", "%.3f");
    for (int i = 0; i < losses.size(); i++) {
      bars = bars.add(STEPS.get(i).name(), losses.get(i));
    }
    return bars;
  }
}
