package fornax.tensor;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import java.util.Locale;

/// Elementwise functions of one argument: `dx = dy·op′(x)`.
final class UnaryOp {
  private UnaryOp() {}

  static Tensor apply(Unary op, Tensor x) {
    try (var call = Call.of(op.name().toLowerCase(Locale.ROOT), x)) {
      check(call, op, x);
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.unary(op, x.array(), y);
      return switch (op.gradientReads()) {
        case X -> call.result(y, g -> gradient(g, op, g.saved(0), g.saved(0)), x.array());
        case Y -> call.result(y, g -> gradient(g, op, g.saved(0), g.saved(0)), y);
        case X_AND_Y -> call.result(y, g -> gradient(g, op, g.saved(0), g.saved(1)), x.array(), y);
      };
    }
  }

  private static void check(Call call, Unary op, Tensor x) {
    boolean integer = op == Unary.NEGATE || op == Unary.ABS || op == Unary.SIGN;
    if (integer && x.dtype() == DType.BOOL) {
      throw new DTypeException(
          call.op + ": needs numbers; got BOOL " + x.shape() + "; convert with to(F32) or to(I32)");
    }
    if (!integer) {
      call.needFloating(x);
    }
  }

  private static void gradient(Backprop g, Unary op, NdArray x, NdArray y) {
    NdArray dx = g.like(0);
    g.backend().unaryGradient(op, x, y, g.dy(), dx);
    g.give(0, dx);
  }
}
