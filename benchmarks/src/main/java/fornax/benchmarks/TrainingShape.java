package fornax.benchmarks;

import fornax.cli.UserException;
import fornax.models.gpt.GptConfig;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A GPT and a batch to train it on. Letters: B sequences of T tokens, width C, vocabulary V.
record TrainingShape(GptConfig model, int batch) {
  private static final Pattern SIZES =
      Pattern.compile("(\\d{1,9})x(\\d{1,9})x(\\d{1,9})x(\\d{1,9})x(\\d{1,9})x(\\d{1,9})");

  /// `nano`, `baby`, `gpt2`, or `LAYERSxHEADSxWIDTHxCONTEXTxBATCHxVOCABULARY`.
  ///
  /// @throws UserException if it is neither, or describes no model
  static TrainingShape parse(String text) {
    return switch (text) {
      case "nano" -> of("4x4x128x64x12x65"); // nanoGPT on a CPU
      case "baby" ->
          of("6x6x384x256x16x65"); // nanoGPT's train_shakespeare_char, with a batch of 16
      case "gpt2" -> of("12x12x768x64x4x50257"); // GPT-2 124M on short sequences
      default -> of(text);
    };
  }

  private static TrainingShape of(String text) {
    Matcher sizes = SIZES.matcher(text);
    if (!sizes.matches()) {
      throw new UserException(
          "bench: no training shape; got "
              + text
              + "; need nano, baby, gpt2 or LAYERSxHEADSxWIDTHxCONTEXTxBATCHxVOCABULARY, such as"
              + " 4x4x128x64x12x65");
    }
    int[] size = new int[sizes.groupCount()];
    for (int i = 0; i < size.length; i++) {
      size[i] = Integer.parseInt(sizes.group(i + 1));
    }
    try {
      var model = new GptConfig(size[5], size[3], size[0], size[1], size[2], 0);
      if (size[4] < 1) {
        throw new IllegalArgumentException("batch not positive; got 0; need at least 1");
      }
      return new TrainingShape(model, size[4]);
    } catch (IllegalArgumentException e) {
      throw new UserException("bench: " + text + ": " + e.getMessage(), e);
    }
  }

  /// Tokens of a step, B·T.
  int tokens() {
    return Math.multiplyExact(batch, model.context());
  }

  /// Floating-point operations of one step's matrix products, forward and backward: six for each
  /// weight of a product and token, and attention's two products, causal half. Source:
  /// arXiv:2204.02311, appendix B, with the output head and without the embeddings.
  double flops() {
    double c = model.width();
    double weights = model.layers() * 12 * c * c + model.vocabulary() * c;
    double attention = model.layers() * 2 * c * model.context() / 2.0;
    return 6 * tokens() * (weights + attention);
  }
}
