package fornax.backend;

import org.jspecify.annotations.Nullable;

/// How attention is computed.
///
/// @param causal whether query `i` sees only the keys up to `i + Tk − Tq`
/// @param scale what scores are multiplied by, usually 1/√D
/// @param dropout the probability with which a weight is dropped; 0 for none
/// @param state the random state of the dropout (see [Philox]); null without dropout
/// @param stream the random stream of the dropout
public record AttentionOptions(
    boolean causal, double scale, double dropout, @Nullable NdArray state, int stream) {
  /// Without dropout.
  public static AttentionOptions of(boolean causal, double scale) {
    return new AttentionOptions(causal, scale, 0, null, 0);
  }
}
