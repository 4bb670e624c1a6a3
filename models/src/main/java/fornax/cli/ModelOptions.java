package fornax.cli;

import fornax.models.gpt.GptConfig;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// The sizes of the model, where they are not the preset's.
final class ModelOptions {
  @Option(
      names = "--context",
      paramLabel = "N",
      order = 1,
      converter = Numbers.Count.class,
      description = "Tokens that the model sees at a time. nano: 64.")
  @Nullable Integer context;

  @Option(
      names = "--layers",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Count.class,
      description = "Blocks. nano: 4.")
  @Nullable Integer layers;

  @Option(
      names = "--heads",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Count.class,
      description = "Attention heads of a block. nano: 4.")
  @Nullable Integer heads;

  @Option(
      names = "--width",
      paramLabel = "N",
      order = 4,
      converter = Numbers.Count.class,
      description = "Size of a token's vector, a multiple of the heads. nano: 128.")
  @Nullable Integer width;

  @Option(
      names = "--dropout",
      paramLabel = "P",
      order = 5,
      converter = Numbers.BelowOne.class,
      description = "Probability of dropout. nano: 0.")
  @Nullable Double dropout;

  /// @throws UserException if these sizes do not go together
  GptConfig sizes(GptConfig preset) {
    try {
      return new GptConfig(
          preset.vocabulary(),
          Command.or(context, preset.context()),
          Command.or(layers, preset.layers()),
          Command.or(heads, preset.heads()),
          Command.or(width, preset.width()),
          Command.or(dropout, preset.dropout()));
    } catch (IllegalArgumentException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }
}
