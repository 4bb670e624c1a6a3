package fornax.tensor;

import fornax.array.Broadcast;
import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.backend.NdArray;

/// `y = condition ? a : b`, with broadcasting: each of a and b gets `dy` where it was taken, and 0
/// elsewhere.
final class WhereOp {
  private WhereOp() {}

  static Tensor apply(Tensor condition, Tensor a, Tensor b) {
    try (var call = Call.of("where", condition, a, b)) {
      call.need(DType.BOOL, "the condition", condition);
      if (a.dtype() != b.dtype()) {
        throw new DTypeException(
            "where: types differ; got a "
                + a.dtype()
                + " "
                + a.shape()
                + " and b "
                + b.dtype()
                + " "
                + b.shape()
                + "; need one type; convert with to(...)");
      }
      Shape shape =
          Broadcast.shapes(
              "where", Broadcast.shapes("where", a.shape(), b.shape()), condition.shape());
      NdArray c = condition.array().expand(shape);
      NdArray y = call.allocate(a.dtype(), shape);
      call.backend.where(c, a.array().expand(shape), b.array().expand(shape), y);
      return call.result(y, WhereOp::gradient, c);
    }
  }

  private static void gradient(Backprop g) {
    NdArray c = g.saved(0);
    NdArray dy = g.dy();
    NdArray zero = BinaryOp.zeros(g, dy.dtype(), dy.shape());
    if (g.wants(1)) {
      NdArray da = g.allocate(dy.dtype(), dy.shape());
      g.backend().where(c, dy, zero, da);
      g.giveReduced(1, da);
    }
    if (g.wants(2)) {
      NdArray db = g.allocate(dy.dtype(), dy.shape());
      g.backend().where(c, zero, dy, db);
      g.giveReduced(2, db);
    }
  }
}
