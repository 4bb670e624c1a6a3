package fornax.cli;

import fornax.train.TrainOptions.Reports;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// How often training looks at its result, and what it shows.
final class ReportOptions {
  @Option(
      names = "--eval-every",
      paramLabel = "N",
      order = 1,
      converter = Numbers.CountOrZero.class,
      description =
          "Steps between evaluations; 0: none. Default: an eighth of --steps, but at"
              + " least 50.")
  @Nullable Integer evaluateEvery;

  @Option(
      names = "--eval-batches",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Count.class,
      description = "Batches of such an evaluation. Default: 20.")
  @Nullable Integer evaluateBatches;

  @Option(
      names = "--sample-every",
      paramLabel = "N",
      order = 3,
      converter = Numbers.CountOrZero.class,
      description =
          "Steps between samples; 0: none at all. Default: a quarter of --steps, but at"
              + " least 100.")
  @Nullable Integer sampleEvery;

  @Option(
      names = "--profile",
      order = 4,
      description = "End with the time of each of the device's kernels. Makes steps slower.")
  boolean profile;

  @Option(
      names = "--tensorboard",
      order = 5,
      description = "Write the curves for TensorBoard too, in the run's folder tensorboard.")
  boolean tensorboard;

  @Option(
      names = "--dashboard",
      paramLabel = "PORT",
      arity = "0..1",
      fallbackValue = "0",
      order = 6,
      converter = Numbers.CountOrZero.class,
      description =
          "Serve the curves to a browser on this machine while training. Default port: any.")
  @Nullable Integer dashboard;

  /// @param steps of the training
  Reports reports(int steps) {
    return new Reports(
        Command.or(evaluateEvery, Math.max(50, steps / 8)),
        Command.or(evaluateBatches, 20),
        Command.or(sampleEvery, Math.max(100, steps / 4)));
  }
}
