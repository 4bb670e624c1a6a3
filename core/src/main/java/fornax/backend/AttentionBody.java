package fornax.backend;

import fornax.array.DType;
import fornax.array.Shape;
import org.jspecify.annotations.Nullable;

/// Pieces of the default bodies of attention and its gradient.
final class AttentionBody {
  private AttentionBody() {}

  // scale·q·kᵀ, −∞ where a query does not see a key.
  static NdArray scores(
      Backend b,
      Workspace work,
      NdArray q,
      NdArray k,
      @Nullable NdArray mask,
      AttentionOptions options) {
    long queries = q.dim(2);
    long keys = k.dim(2);
    Shape shape = Shape.of(q.dim(0), q.dim(1), queries, keys);
    NdArray scores = work.allocate(Backend.arithmetic(q), shape);
    b.matmul(q, k.transpose(), scores, false);
    b.binary(Binary.MULTIPLY, scores, options.scale(), scores);
    NdArray hidden = b.constant(work, scores.dtype(), Double.NEGATIVE_INFINITY, shape);
    if (options.causal()) {
      NdArray row = work.allocate(DType.I32, Shape.of(queries, 1));
      NdArray column = work.allocate(DType.I32, Shape.of(1, keys));
      NdArray seen = work.allocate(DType.BOOL, Shape.of(queries, keys));
      b.range(row, keys - queries, 1);
      b.range(column, 0, 1);
      b.compare(Compare.LESS_EQUAL, column.expand(seen.shape()), row.expand(seen.shape()), seen);
      b.where(seen.expand(shape), scores, hidden, scores);
    }
    if (mask != null) {
      b.where(mask, scores, hidden, scores);
    }
    return scores;
  }

  // x with `value` replaced by 0: the rows of queries that see no key.
  static void zeroWhere(Backend b, Workspace work, NdArray x, double value) {
    NdArray hit = work.allocate(DType.BOOL, x.shape());
    b.compare(Compare.EQUAL, x, value, hit);
    b.where(hit, b.constant(work, x.dtype(), 0, x.shape()), x, x);
  }

  static void drop(Backend b, NdArray p, AttentionOptions options) {
    NdArray state = options.state();
    if (state != null) {
      b.dropout(p, options.dropout(), state, options.stream(), p);
    }
  }
}
