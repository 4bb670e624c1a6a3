package fornax.cpu;

import java.lang.foreign.MemorySegment;

/// What one [Attention] computes: `y = dropout(softmax(scale·q·kᵀ + mask))·v` for each batch entry
/// and head, and the logarithm of each softmax's denominator.
///
/// Shapes: `q [batch, heads, queries, width]`, `k [batch, heads, keys, width]`, `v [batch, heads,
/// keys, valueWidth] → y [batch, heads, queries, valueWidth]`, `logSumExp [batch, heads, queries]`,
/// contiguous floats from byte `logSumExpStart` on.
///
/// If causal, query `i` sees the keys `j ≤ i + keys − queries`. A query that sees no key gets `y =
/// 0` and `logSumExp = −∞`.
record AttentionArgs(
    Sizes sizes,
    boolean causal,
    float scale,
    AttentionFilter filter,
    HeadsView q,
    HeadsView k,
    HeadsView v,
    HeadsView y,
    MemorySegment logSumExp,
    long logSumExpStart) {

  record Sizes(int batch, int heads, int queries, int keys, int width, int valueWidth) {}

  /// Where the gradients come from and go to: `dy` as `y`, the others as their namesakes, which are
  /// written over.
  record Gradients(HeadsView dy, HeadsView dq, HeadsView dk, HeadsView dv) {}

  /// The number of keys visible to query `i`; may be negative or beyond the last key.
  int visible(int i) {
    return causal ? i + sizes.keys - sizes.queries + 1 : sizes.keys;
  }
}
