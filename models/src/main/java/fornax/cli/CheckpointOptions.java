package fornax.cli;

import fornax.train.TrainOptions.Checkpointing;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// How often training saves what it can go on from, and where it goes on.
final class CheckpointOptions {
  @Option(
      names = "--checkpoint-every",
      paramLabel = "N",
      order = 1,
      converter = Numbers.CountOrZero.class,
      description =
          "Steps between checkpoints, which are also written where an evaluation is the best so"
              + " far, at Ctrl-C and at the end; 0: none. Default: an eighth of --steps, but at"
              + " least 50.")
  @Nullable Integer every;

  @Option(
      names = "--keep",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Count.class,
      description = "Checkpoints to keep: the last N, and the best by validation loss. Default: 2.")
  @Nullable Integer keep;

  @Option(
      names = "--resume",
      paramLabel = "DIR",
      order = 3,
      description =
          "Go on with the run in DIR, by its own config, from its newest checkpoint. Takes"
              + " --data only where the text has moved.")
  @Nullable Path resume;

  @Option(
      names = "--skip-damaged",
      order = 4,
      description = "With --resume: where the newest checkpoint is damaged, take the one before.")
  boolean skipDamaged;

  /// @param steps of the training
  Checkpointing checkpointing(int steps) {
    return new Checkpointing(Command.or(every, Math.max(50, steps / 8)), Command.or(keep, 2));
  }
}
