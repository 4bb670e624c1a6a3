package fornax.models.bert;

import fornax.backend.Unary;

/// The sizes of a [Bert].
///
/// @param vocabulary the number of tokens
/// @param positions the longest sequence
/// @param types the number of token types
/// @param layers the number of blocks
/// @param heads the attention heads of a block; width is divisible by them
/// @param width the size of a position's vector
/// @param inner the width inside the feed-forward layers
/// @param activation between these two layers
/// @param epsilon of the layer norms
public record BertConfig(
    int vocabulary,
    int positions,
    int types,
    int layers,
    int heads,
    int width,
    int inner,
    Unary activation,
    double epsilon) {
  /// The sentence model all-MiniLM-L6-v2. Source: arXiv:2002.10957, with 6 layers.
  public static final BertConfig MINI_LM =
      new BertConfig(30_522, 512, 2, 6, 12, 384, 1536, Unary.GELU_ERF, 1e-12);

  /// @throws IllegalArgumentException if a size or the epsilon is not positive, or the width is not
  ///   divisible by the heads
  public BertConfig {
    positive("vocabulary", vocabulary);
    positive("positions", positions);
    positive("types", types);
    positive("layers", layers);
    positive("heads", heads);
    positive("width", width);
    positive("inner", inner);
    if (width % heads != 0) {
      throw new IllegalArgumentException(
          "bert: width not divisible by heads; got width "
              + width
              + " and heads "
              + heads
              + "; need a multiple");
    }
    if (!(epsilon > 0)) {
      throw new IllegalArgumentException(
          "bert: epsilon not positive; got " + epsilon + "; need more than 0");
    }
  }

  private static void positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(
          "bert: " + name + " not positive; got " + value + "; need at least 1");
    }
  }
}
