package fornax.cli;

import fornax.train.TrainOptions;
import fornax.train.TrainOptions.Decay;
import fornax.train.TrainOptions.OptimizerOptions;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// How training changes the parameters, where it is not the preset's way.
final class RecipeOptions {
  @Option(
      names = "--steps",
      paramLabel = "N",
      order = 1,
      converter = Numbers.Count.class,
      description = "Steps to take. nano: 2000.")
  @Nullable Integer steps;

  @Option(
      names = "--batch",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Count.class,
      description = "Sequences of a forward pass. nano: 12.")
  @Nullable Integer batch;

  @Option(
      names = "--accumulate",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Count.class,
      description = "Forward passes of a step, for a larger batch in the same memory. nano: 1.")
  @Nullable Integer accumulate;

  @Option(
      names = "--lr",
      paramLabel = "R",
      order = 4,
      converter = Numbers.Positive.class,
      description = "Peak learning rate. nano: 0.001.")
  @Nullable Double rate;

  @Option(
      names = "--min-lr",
      paramLabel = "R",
      order = 5,
      converter = Numbers.NotNegative.class,
      description = "Learning rate at the end. Default: a tenth of --lr.")
  @Nullable Double minRate;

  @Option(
      names = "--warmup",
      paramLabel = "N",
      order = 6,
      converter = Numbers.CountOrZero.class,
      description = "Steps of linear warm-up. Default: 100, but at most a tenth of --steps.")
  @Nullable Integer warmup;

  @Option(
      names = "--beta1",
      paramLabel = "B",
      order = 7,
      converter = Numbers.BelowOne.class,
      description = "AdamW's decay of the first moment. nano: 0.9.")
  @Nullable Double beta1;

  @Option(
      names = "--beta2",
      paramLabel = "B",
      order = 8,
      converter = Numbers.BelowOne.class,
      description = "AdamW's decay of the second moment. nano: 0.99.")
  @Nullable Double beta2;

  @Option(
      names = "--weight-decay",
      paramLabel = "D",
      order = 9,
      converter = Numbers.NotNegative.class,
      description = "Weight decay of matrices and embeddings. nano: 0.1.")
  @Nullable Double weightDecay;

  @Option(
      names = "--clip",
      paramLabel = "N",
      order = 10,
      converter = Numbers.NotNegative.class,
      description = "Largest norm of the gradients; 0: no limit. nano: 1.")
  @Nullable Double clip;

  @Option(
      names = "--schedule",
      paramLabel = "NAME",
      order = 11,
      converter = ScheduleOption.class,
      description =
          "The learning rate after warm-up: cosine or linear down to --min-lr, wsd (kept, and"
              + " linear in the last tenth of the steps), or constant. Default: cosine.")
  Decay schedule = Decay.COSINE;

  @Option(
      names = "--label-smoothing",
      paramLabel = "P",
      order = 12,
      converter = Numbers.BelowOne.class,
      description =
          "Part of a target's probability spread over all tokens, in training. Default: 0.")
  double labelSmoothing;

  @Option(
      names = "--overfit-one-batch",
      order = 13,
      description =
          "Show every step the batches of the first: a first check, for the training loss must"
              + " then fall to nearly 0.")
  boolean overfitOneBatch;

  @Option(
      names = "--recompute",
      order = 14,
      description =
          "Keep only what goes into each block, and compute the block again in backward: the same"
              + " bits in less memory, for a third more work.")
  boolean recompute;

  /// The options of training, but for reports, checkpoints, seed and precision.
  ///
  /// @throws IllegalArgumentException if they do not go together
  TrainOptions.Builder options(Recipe preset) {
    int count = Command.or(steps, preset.steps());
    double peak = Command.or(rate, preset.rate());
    var optimizer =
        new OptimizerOptions(
            peak,
            Command.or(minRate, peak / 10),
            Command.or(warmup, Math.min(100, count / 10)),
            Command.or(beta1, 0.9),
            Command.or(beta2, preset.beta2()),
            Command.or(weightDecay, 0.1),
            Command.or(clip, 1.0),
            schedule);
    return TrainOptions.builder(count, Command.or(batch, preset.batch()), optimizer)
        .accumulate(Command.or(accumulate, 1))
        .labelSmoothing(labelSmoothing)
        .overfitOneBatch(overfitOneBatch)
        .recompute(recompute);
  }
}
