package fornax.tensor;

import static fornax.backend.Binary.DIVIDE;
import static fornax.backend.Binary.MULTIPLY;

import fornax.array.Broadcast;
import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import java.util.Locale;

/// Elementwise functions of two arguments, with broadcasting; a broadcast input's gradient is
/// summed over the broadcast axes.
final class BinaryOp {
  private BinaryOp() {}

  static Tensor apply(Binary op, Tensor a, Tensor b) {
    try (var call = Call.of(op.name().toLowerCase(Locale.ROOT), a, b)) {
      DType dtype = common(call.op, op, a, b);
      Shape shape = Broadcast.shapes(call.op, a.shape(), b.shape());
      NdArray x = a.array().expand(shape);
      NdArray z = b.array().expand(shape);
      NdArray y = call.allocate(dtype, shape);
      call.backend.binary(op, x, z, y);
      return switch (op) {
        case ADD -> call.result(y, BinaryOp::addGradient);
        case SUBTRACT -> call.result(y, BinaryOp::subtractGradient);
        case MULTIPLY -> call.result(y, BinaryOp::multiplyGradient, x, z);
        case DIVIDE -> call.result(y, BinaryOp::divideGradient, z, y);
        case POWER -> call.result(y, BinaryOp::powerGradient, x, z, y);
        case MAXIMUM -> call.result(y, g -> selectGradient(g, Compare.GREATER), x, z);
        case MINIMUM -> call.result(y, g -> selectGradient(g, Compare.LESS), x, z);
      };
    }
  }

  /// The type of `a op b`.
  static DType common(String name, Binary op, Tensor a, Tensor b) {
    DType s = a.dtype();
    DType t = b.dtype();
    boolean logical = op == Binary.MAXIMUM || op == Binary.MINIMUM;
    boolean integer = logical || op == Binary.ADD || op == Binary.SUBTRACT || op == Binary.MULTIPLY;
    if (s == t && (s.isFloating() || s == DType.I32 && integer || s == DType.BOOL && logical)) {
      return s;
    }
    if (s.isFloating() && t.isFloating() && s != DType.F64 && t != DType.F64) {
      return DType.F32;
    }
    throw new DTypeException(
        name
            + ": types do not fit; got a "
            + s
            + " "
            + a.shape()
            + " and b "
            + t
            + " "
            + b.shape()
            + "; need "
            + (integer ? "one type" : "floating types")
            + "; convert with to(...)");
  }

  private static void addGradient(Backprop g) {
    g.passReduced(0, g.dy());
    g.passReduced(1, g.dy());
  }

  private static void subtractGradient(Backprop g) {
    g.passReduced(0, g.dy());
    if (g.wants(1)) {
      NdArray db = g.allocate(g.dy().dtype(), g.dy().shape());
      g.backend().unary(Unary.NEGATE, g.dy(), db);
      g.giveReduced(1, db);
    }
  }

  private static void multiplyGradient(Backprop g) {
    for (int input = 0; input < 2; input++) {
      if (g.wants(input)) {
        g.giveReduced(input, g.product(g.dy(), g.saved(1 - input), g.dy().dtype()));
      }
    }
  }

  // da = dy / b, db = −da·y
  private static void divideGradient(Backprop g) {
    NdArray da = g.allocate(g.dy().dtype(), g.dy().shape());
    g.backend().binary(DIVIDE, g.dy(), g.saved(0), da);
    if (g.wants(1)) {
      NdArray db = g.product(da, g.saved(1), da.dtype());
      g.backend().unary(Unary.NEGATE, db, db);
      g.giveReduced(1, db);
    }
    g.giveReduced(0, da);
  }

  // da = dy·b·aᵇ⁻¹, db = dy·y·log a (0 where y is 0)
  private static void powerGradient(Backprop g) {
    NdArray a = g.saved(0);
    NdArray b = g.saved(1);
    NdArray y = g.saved(2);
    DType dtype = g.dy().dtype();
    if (g.wants(0)) {
      NdArray da = g.allocate(dtype, y.shape());
      g.backend().binary(Binary.SUBTRACT, b, 1, da);
      g.backend().binary(Binary.POWER, a, da, da);
      g.backend().binary(MULTIPLY, da, b, da);
      g.backend().binary(MULTIPLY, da, g.dy(), da);
      g.giveReduced(0, da);
    }
    if (g.wants(1)) {
      NdArray db = g.allocate(dtype, y.shape());
      NdArray zero = g.temporary(DType.BOOL, y.shape());
      g.backend().unary(Unary.LOG, a, db);
      g.backend().binary(MULTIPLY, db, y, db);
      g.backend().compare(Compare.EQUAL, y, 0, zero);
      g.backend().where(zero, zeros(g, dtype, y.shape()), db, db);
      g.backend().binary(MULTIPLY, db, g.dy(), db);
      g.giveReduced(1, db);
    }
  }

  // dy goes where the value came from; equal values share it half and half.
  private static void selectGradient(Backprop g, Compare wins) {
    NdArray a = g.saved(0);
    NdArray b = g.saved(1);
    DType dtype = g.dy().dtype();
    NdArray hit = g.temporary(DType.BOOL, a.shape());
    NdArray half = g.temporary(dtype, a.shape());
    g.backend().compare(Compare.EQUAL, a, b, hit);
    g.backend().copy(hit, half);
    g.backend().binary(MULTIPLY, half, 0.5, half);
    for (int input = 0; input < 2; input++) {
      if (g.wants(input)) {
        NdArray share = g.allocate(dtype, a.shape());
        g.backend().compare(wins, g.saved(input), g.saved(1 - input), hit);
        g.backend().copy(hit, share);
        g.backend().binary(Binary.ADD, share, half, share);
        g.backend().binary(MULTIPLY, share, g.dy(), share);
        g.giveReduced(input, share);
      }
    }
  }

  static NdArray zeros(Backprop g, DType dtype, Shape shape) {
    NdArray zero = g.temporary(dtype, Shape.scalar());
    g.backend().fill(zero, 0);
    return zero.expand(shape);
  }

  /// @throws DTypeException if `a op b` is not of a's type
  static void checkNumber(String name, Binary op, Tensor a, double b) {
    boolean integer = op != DIVIDE && op != Binary.POWER && b == (int) b;
    if (a.dtype() == DType.BOOL || a.dtype() == DType.I32 && !integer) {
      throw new DTypeException(
          name
              + ": types do not fit; got a "
              + a.dtype()
              + " "
              + a.shape()
              + " and b "
              + b
              + "; need floating a; convert with to(F32)");
    }
  }

  static Tensor apply(Binary op, Tensor a, double b) {
    try (var call = Call.of(op.name().toLowerCase(Locale.ROOT), a)) {
      checkNumber(call.op, op, a, b);
      NdArray y = call.allocate(a.dtype(), a.shape());
      call.backend.binary(op, a.array(), b, y);
      return switch (op) {
        case ADD, SUBTRACT -> call.result(y, g -> g.pass(0, g.dy()));
        case MULTIPLY, DIVIDE -> call.result(y, g -> scaleGradient(g, op, b));
        case POWER -> call.result(y, g -> powerGradient(g, b), a.array());
        case MAXIMUM -> call.result(y, g -> maskGradient(g, Compare.GREATER_EQUAL, b), a.array());
        case MINIMUM -> call.result(y, g -> maskGradient(g, Compare.LESS_EQUAL, b), a.array());
      };
    }
  }

  private static void scaleGradient(Backprop g, Binary op, double b) {
    NdArray da = g.like(0);
    g.backend().binary(op, g.dy(), b, da);
    g.give(0, da);
  }

  private static void powerGradient(Backprop g, double b) {
    NdArray da = g.like(0);
    g.backend().binary(Binary.POWER, g.saved(0), b - 1, da);
    g.backend().binary(MULTIPLY, da, b, da);
    g.backend().binary(MULTIPLY, da, g.dy(), da);
    g.give(0, da);
  }

  private static void maskGradient(Backprop g, Compare passes, double b) {
    NdArray a = g.saved(0);
    NdArray hit = g.temporary(DType.BOOL, a.shape());
    NdArray da = g.like(0);
    g.backend().compare(passes, a, b, hit);
    g.backend().where(hit, g.dy(), zeros(g, da.dtype(), a.shape()), da);
    g.give(0, da);
  }
}
