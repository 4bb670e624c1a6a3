package fornax.nn;

import fornax.array.ShapeException;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Attention of one sequence to another, or to itself, under any mask. Shapes: `x [B, Tq, C],
/// memory [B, Tk, C] → y [B, Tq, C]`; a mask (BOOL, true where a query sees a key) broadcasts to
/// `[B, H, Tq, Tk]`. Source: arXiv:1706.03762 §3.2.
///
/// In training, dropout takes attention weights and elements of the result.
public final class MultiHeadAttention extends Module {
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear projection;
  private final Dropout dropout;
  private final int heads;

  /// @throws ShapeException if `width` is not divisible by `heads`
  public MultiHeadAttention(Weights weights, long width, int heads, Dropout dropout) {
    CausalSelfAttention.checkHeads(width, heads);
    query = child("query", new Linear(weights, width, width));
    key = child("key", new Linear(weights, width, width));
    value = child("value", new Linear(weights, width, width));
    projection = child("projection", new Linear(weights, width, width));
    this.dropout = child("dropout", dropout);
    this.heads = heads;
  }

  /// `x` attends to all of itself.
  public Tensor forward(Tensor x) {
    return forward(x, x, null);
  }

  /// `x` attends to `memory` where `mask` allows; null: everywhere.
  public Tensor forward(Tensor x, Tensor memory, @Nullable Tensor mask) {
    try (var scope = Scope.open()) {
      AttentionSpec spec = mask == null ? AttentionSpec.FULL : AttentionSpec.FULL.withMask(mask);
      Tensor mixed =
          Tensor.attention(
              split(query.forward(x)), // [B, H, Tq, D]
              split(key.forward(memory)), // [B, H, Tk, D]
              split(value.forward(memory)), // [B, H, Tk, D]
              CausalSelfAttention.withDropout(spec, dropout)); // [B, H, Tq, D]
      Tensor joined = mixed.swapAxes(1, 2).reshape(x.dim(0), x.dim(1), x.dim(2)); // [B, Tq, C]
      return scope.keep(dropout.forward(projection.forward(joined)));
    }
  }

  private Tensor split(Tensor x) {
    return x.reshape(x.dim(0), x.dim(1), heads, x.dim(2) / heads).swapAxes(1, 2); // [B, H, T, D]
  }
}
