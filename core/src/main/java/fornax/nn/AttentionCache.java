package fornax.nn;

import fornax.tensor.Tensor;

/// What attention keeps of the positions that it has seen. For evaluation: no gradient flows
/// through it.
public sealed interface AttentionCache permits KeyValueCache, JoinedCache {
  /// Adds the next positions and lets them attend to themselves and all before them. Shapes: `q, k,
  /// v [B, H, T, D] → [B, H, T, D]`, of any layout.
  ///
  /// @throws fornax.array.ShapeException if there is no room for them, or the other axes differ
  Tensor attend(Tensor q, Tensor k, Tensor v);
}
