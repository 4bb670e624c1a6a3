package fornax.nn;

import fornax.array.ShapeException;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.List;

/// The caches of sequences that differ in length, for a pass over all of them: row `i` of the batch
/// attends to what cache `i` holds.
public final class JoinedCache implements AttentionCache {
  private final List<KeyValueCache> rows;

  /// @param rows of one sequence each, which stay the caller's
  public JoinedCache(List<KeyValueCache> rows) {
    this.rows = List.copyOf(rows);
  }

  @Override
  public Tensor attend(Tensor q, Tensor k, Tensor v) {
    if (q.dim(0) != rows.size()) {
      throw new ShapeException(
          "cache: other sequences; got " + q.shape() + "; need a batch of " + rows.size());
    }
    try (var scope = Scope.open()) {
      Tensor[] mixed = new Tensor[rows.size()]; // [1, H, T, D] each
      for (int i = 0; i < mixed.length; i++) {
        mixed[i] = rows.get(i).attend(row(q, i), row(k, i), row(v, i));
      }
      return scope.keep(Tensor.concat(0, mixed)); // [B, H, T, D]
    }
  }

  private static Tensor row(Tensor x, int index) {
    return x.slice(0, index, index + 1);
  }
}
