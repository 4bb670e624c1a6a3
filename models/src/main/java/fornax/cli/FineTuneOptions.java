package fornax.cli;

import fornax.nn.Lora;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// What is learnt, and by which parameters, where a trained model goes on.
final class FineTuneOptions {
  @Option(
      names = "--instructions",
      paramLabel = "FILE",
      order = 1,
      description =
          "Learn answers to prompts, in place of a text: JSON lines such as"
              + " {\"prompt\": \"...\", \"answer\": \"...\"}; the last tenth is held out.")
  @Nullable Path instructions;

  @Option(
      names = "--lora-rank",
      paramLabel = "R",
      order = 2,
      converter = Numbers.Count.class,
      description =
          "Keep the weights as they are, and train two matrices of this inner size beside each of"
              + " attention's and the feed-forward layers'; --lr is then not a tenth.")
  @Nullable Integer rank;

  @Option(
      names = "--lora-alpha",
      paramLabel = "A",
      order = 3,
      converter = Numbers.Positive.class,
      description = "Their product counts A / R times. Default: twice the rank.")
  @Nullable Double alpha;

  @Option(
      names = "--lora-dropout",
      paramLabel = "P",
      order = 4,
      converter = Numbers.BelowOne.class,
      description = "Dropout in front of them. Default: 0.")
  @Nullable Double dropout;

  /// The adapters that were asked for; null: none.
  ///
  /// @throws UserException if options do not go together
  Lora.@Nullable Options lora(@Nullable Path from) {
    if (rank == null) {
      if (alpha != null || dropout != null) {
        throw new UserException(
            (alpha != null ? "--lora-alpha" : "--lora-dropout")
                + ": got no --lora-rank; need the size of the adapters");
      }
      return null;
    }
    if (from == null) {
      throw new UserException(
          "--lora-rank: got no --from; need the trained model that the adapters belong to");
    }
    return new Lora.Options(rank, Command.or(alpha, 2.0 * rank), Command.or(dropout, 0.0));
  }
}
