package fornax.tensor;

import fornax.array.Broadcast;
import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.backend.Compare;
import fornax.backend.NdArray;
import java.util.Locale;

/// Elementwise comparisons, with broadcasting; BOOL results have no gradient.
final class CompareOp {
  private CompareOp() {}

  static Tensor apply(Compare op, Tensor a, Tensor b) {
    try (var call = Call.of(op.name().toLowerCase(Locale.ROOT), a, b)) {
      if (a.dtype() != b.dtype() && !(a.dtype().isFloating() && b.dtype().isFloating())) {
        throw new DTypeException(
            call.op
                + ": types do not fit; got a "
                + a.dtype()
                + " "
                + a.shape()
                + " and b "
                + b.dtype()
                + " "
                + b.shape()
                + "; need one type; convert with to(...)");
      }
      Shape shape = Broadcast.shapes(call.op, a.shape(), b.shape());
      NdArray y = call.allocate(DType.BOOL, shape);
      call.backend.compare(op, a.array().expand(shape), b.array().expand(shape), y);
      return call.result(y);
    }
  }

  static Tensor apply(Compare op, Tensor a, double b) {
    try (var call = Call.of(op.name().toLowerCase(Locale.ROOT), a)) {
      NdArray y = call.allocate(DType.BOOL, a.shape());
      call.backend.compare(op, a.array(), b, y);
      return call.result(y);
    }
  }
}
