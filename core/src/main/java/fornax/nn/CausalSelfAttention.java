package fornax.nn;

import fornax.array.ShapeException;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;

/// Each position of a sequence attends to itself and to those before it: queries, keys and values
/// come from one matmul, each head attends by itself, and a last layer mixes the heads. Shapes: `x,
/// y [B, T, C]`. Source: arXiv:1706.03762 §3.2.
///
/// In training, dropout takes attention weights and elements of the result.
public final class CausalSelfAttention extends Layer {
  private final Linear qkv;
  private final Linear projection;
  private final Dropout dropout;
  private final int heads;

  /// @param qkv to queries, keys and values, `[C, 3·C]`
  /// @param projection of the heads' results, `[C, C]`
  /// @throws ShapeException if the layers' shapes differ from these, or C is not divisible by heads
  public CausalSelfAttention(Linear qkv, Linear projection, int heads, Dropout dropout) {
    long width = projection.weight().dim(1);
    if (qkv.weight().dim(1) != 3 * width || projection.weight().dim(0) != width) {
      throw new ShapeException(
          "attention: layers do not fit; got qkv "
              + qkv.weight().shape()
              + " and projection "
              + projection.weight().shape()
              + "; need [C, 3·C] and [C, C]");
    }
    checkHeads(width, heads);
    this.qkv = child("qkv", qkv);
    this.projection = child("projection", projection);
    this.dropout = child("dropout", dropout);
    this.heads = heads;
  }

  /// With [Linear]'s own initial values.
  public static CausalSelfAttention of(Weights weights, long width, int heads, Dropout dropout) {
    return new CausalSelfAttention(
        new Linear(weights, width, Math.multiplyExact(3, width)),
        new Linear(weights, width, width),
        heads,
        dropout);
  }

  static void checkHeads(long width, int heads) {
    if (heads < 1 || width % heads != 0) {
      throw new ShapeException(
          "attention: width not divisible by heads; got width "
              + width
              + " and heads "
              + heads
              + "; need a multiple");
    }
  }

  @Override
  public Tensor forward(Tensor x) {
    try (var scope = Scope.open()) {
      Tensor mixed = Tensor.selfAttention(qkv.forward(x), heads, spec(dropout)); // [B, T, C]
      return scope.keep(dropout.forward(projection.forward(mixed))); // [B, T, C]
    }
  }

  /// The result for the positions after those in `cache`, which these join: `x` attends to all of
  /// them. For evaluation. Shapes: `x, y [B, T, C]`.
  ///
  /// @throws ShapeException if the cache has no room for them
  public Tensor forward(Tensor x, AttentionCache cache) {
    try (var scope = Scope.open()) {
      long b = x.dim(0);
      long t = x.dim(1);
      long c = x.dim(2);
      Tensor parts = qkv.forward(x).reshape(b, t, 3, heads, c / heads); // [B, T, 3, H, D]
      Tensor mixed = cache.attend(part(parts, 0), part(parts, 1), part(parts, 2)); // [B, H, T, D]
      Tensor joined = mixed.swapAxes(1, 2).reshape(b, t, c); // [B, T, C]
      return scope.keep(projection.forward(joined)); // [B, T, C]
    }
  }

  private static Tensor part(Tensor parts, int index) {
    return parts.select(2, index).swapAxes(1, 2); // [B, H, T, D]
  }

  private static AttentionSpec spec(Dropout dropout) {
    return withDropout(AttentionSpec.CAUSAL, dropout);
  }

  static AttentionSpec withDropout(AttentionSpec spec, Dropout dropout) {
    return dropout.isTraining() && dropout.probability() > 0
        ? spec.withDropout(dropout.probability(), dropout.generator())
        : spec;
  }
}
