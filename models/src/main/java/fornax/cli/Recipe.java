package fornax.cli;

import fornax.models.gpt.GptConfig;
import fornax.train.TrainOptions.OptimizerOptions;

/// What `train` takes for a preset where no option says otherwise.
///
/// @param tokenizer `char` or `gpt2`
record Recipe(GptConfig sizes, String tokenizer, int steps, int batch, double rate, double beta2) {
  /// Numbers for steps of which only the memory matters.
  static final OptimizerOptions PLAIN = new OptimizerOptions(1e-3, 0, 0, 0.9, 0.99, 0.1, 1);

  private static final double GPT_BETA2 = 0.95; // arXiv:2005.14165, appendix B
  private static final int BATCH = 8; // what memory allows, where papers take half a million tokens
  private static final int STEPS = 2000;

  /// The recipe of the preset `name`: nano and baby as nanoGPT trains on characters, the others
  /// with the learning rates of GPT-3's table (arXiv:2005.14165, table 2.1) for their size.
  ///
  /// @throws IllegalArgumentException if there is no such preset
  static Recipe of(String name) {
    GptConfig sizes = GptConfig.preset(name);
    return switch (name) {
      case "nano" -> new Recipe(sizes, "char", STEPS, 12, 1e-3, 0.99);
      case "baby" -> new Recipe(sizes.withDropout(0.2), "char", 5000, 64, 1e-3, 0.99);
      default -> new Recipe(sizes, "gpt2", STEPS, BATCH, rate(sizes), GPT_BETA2);
    };
  }

  /// The recipe of a model that has been trained already: fewer steps, at a tenth of the rate.
  ///
  /// @param adapters whether the weights stay, so that the rate may too
  static Recipe goingOn(GptConfig sizes, boolean adapters) {
    return new Recipe(sizes, "", 500, BATCH, adapters ? rate(sizes) : rate(sizes) / 10, GPT_BETA2);
  }

  private static double rate(GptConfig sizes) {
    if (sizes.width() <= 768) {
      return 6e-4;
    }
    if (sizes.width() <= 1024) {
      return 3e-4;
    }
    if (sizes.width() <= 1536) {
      return 2.5e-4;
    }
    if (sizes.width() <= 2048) {
      return 2e-4;
    }
    if (sizes.width() <= 2560) {
      return 1.6e-4;
    }
    if (sizes.width() <= 4096) {
      return 1.2e-4;
    }
    return sizes.width() <= 5120 ? 1e-4 : 0.6e-4;
  }
}
