package fornax.tensor;

import org.jspecify.annotations.Nullable;

/// Which keys a query sees, and how attention is computed.
///
/// @param causal whether query `i` sees only the keys up to `i + Tk − Tq`
/// @param mask BOOL, broadcast to `[B, H, Tq, Tk]`: the keys a query sees; null for all
/// @param scale what scores are multiplied by; null for 1/√D
/// @param dropout the probability with which a weight is dropped
/// @param generator where the dropout's randomness comes from; needed if dropout > 0
public record AttentionSpec(
    boolean causal,
    @Nullable Tensor mask,
    @Nullable Double scale,
    double dropout,
    @Nullable Generator generator) {
  /// Each query sees the keys up to its own place.
  public static final AttentionSpec CAUSAL = new AttentionSpec(true, null, null, 0, null);

  /// Each query sees all keys.
  public static final AttentionSpec FULL = new AttentionSpec(false, null, null, 0, null);

  public AttentionSpec {
    DropoutOp.check("attention", dropout);
    if (dropout > 0 && generator == null) {
      throw new IllegalArgumentException(
          "attention: dropout without a generator; got dropout " + dropout + "; need a generator");
    }
  }

  public AttentionSpec withMask(Tensor newMask) {
    return new AttentionSpec(causal, newMask, scale, dropout, generator);
  }

  public AttentionSpec withScale(double newScale) {
    return new AttentionSpec(causal, mask, newScale, dropout, generator);
  }

  public AttentionSpec withDropout(double probability, Generator newGenerator) {
    return new AttentionSpec(causal, mask, scale, probability, newGenerator);
  }
}
