package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import fornax.backend.Reduce;
import fornax.backend.Unary;
import java.util.Arrays;

/// Sums, means and extremes over axes. A sum's gradient is `dy`, repeated; an extreme's goes to the
/// first element that has it.
final class ReduceOp {
  private ReduceOp() {}

  static Tensor sum(Tensor x, boolean keepAxes, int... axes) {
    try (var call = Call.of("sum", x)) {
      if (x.dtype() != DType.I32) {
        call.needFloating(x);
      }
      Shape kept = kept("sum", x, axes);
      NdArray y = call.allocate(x.dtype(), kept);
      call.backend.reduce(Reduce.SUM, x.array(), y);
      Shape shape = x.shape();
      return call.result(
          keepAxes ? y : y.reshape(dropped(x, axes)),
          g -> g.pass(0, g.contiguousDy().reshape(kept).expand(shape)));
    }
  }

  static Tensor mean(Tensor x, boolean keepAxes, int... axes) {
    try (var call = Call.of("mean", x)) {
      call.needFloating(x);
      Shape kept = kept("mean", x, axes);
      Shape shape = x.shape();
      double scale = 1.0 / (shape.elements() / (double) kept.elements());
      NdArray y = call.allocate(x.dtype(), kept);
      call.backend.reduce(Reduce.SUM, x.array(), y);
      call.backend.binary(Binary.MULTIPLY, y, scale, y);
      return call.result(
          keepAxes ? y : y.reshape(dropped(x, axes)),
          g -> {
            NdArray dx = g.allocate(y.dtype(), kept);
            g.backend().binary(Binary.MULTIPLY, g.contiguousDy().reshape(kept), scale, dx);
            g.give(0, dx.expand(shape));
          });
    }
  }

  static Tensor extreme(Reduce op, Tensor x, int axis, boolean keepAxis) {
    boolean max = op == Reduce.MAX;
    try (var call = Call.of(max ? "max" : "min", x)) {
      if (x.dtype() != DType.I32) {
        call.needFloating(x);
      }
      int at = x.shape().axis(call.op, axis);
      if (x.dim(at) == 0) {
        throw new ShapeException(
            call.op
                + ": no elements along axis "
                + axis
                + "; got "
                + x.shape()
                + "; need at least 1");
      }
      Shape kept = x.shape().with(at, 1);
      NdArray y = call.allocate(x.dtype(), kept);
      call.backend.reduce(op, x.array(), y);
      NdArray result = keepAxis ? y : y.reshape(kept.without(at));
      if (!call.recording) {
        return call.result(result);
      }
      NdArray place = call.allocate(DType.I32, kept);
      NdArray from = x.array();
      if (!max) {
        from = call.temporary(x.dtype(), x.shape());
        call.backend.unary(Unary.NEGATE, x.array(), from);
      }
      call.backend.argmax(from, at, place);
      return call.result(
          result,
          g ->
              g.backend()
                  .scatterAdd(g.contiguousDy().reshape(kept), at, g.saved(0), g.zeroedTarget(0)),
          place);
    }
  }

  static Tensor argmax(Tensor x, int axis) {
    try (var call = Call.of("argmax", x)) {
      call.needFloating(x);
      int at = x.shape().axis("argmax", axis);
      if (x.dim(at) == 0) {
        throw new ShapeException(
            "argmax: no elements along axis " + axis + "; got " + x.shape() + "; need at least 1");
      }
      NdArray y = call.allocate(DType.I32, x.shape().with(at, 1));
      call.backend.argmax(x.array(), at, y);
      return call.result(y.reshape(x.shape().without(at)));
    }
  }

  static Tensor cumulativeSum(Tensor x, int axis) {
    try (var call = Call.of("cumulativeSum", x)) {
      if (x.dtype() != DType.I32) {
        call.needFloating(x);
      }
      int at = x.shape().axis("cumulativeSum", axis);
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.cumulativeSum(x.array(), at, y);
      return call.result(y, g -> cumulativeSumGradient(g, at));
    }
  }

  // dx[i] = Σ dy[j] over j ≥ i = Σ dy − (cumulative sum of dy) + dy
  private static void cumulativeSumGradient(Backprop g, int axis) {
    NdArray dy = g.dy();
    NdArray dx = g.like(0);
    NdArray total = g.temporary(dy.dtype(), dy.shape().with(axis, 1));
    g.backend().reduce(Reduce.SUM, dy, total);
    g.backend().cumulativeSum(dy, axis, dx);
    g.backend().binary(Binary.SUBTRACT, total.expand(dy.shape()), dx, dx);
    g.backend().binary(Binary.ADD, dx, dy, dx);
    g.give(0, dx);
  }

  /// The shape of `x` with size 1 at `axes`.
  static Shape kept(String op, Tensor x, int... axes) {
    long[] dims = x.shape().toArray();
    boolean[] seen = new boolean[dims.length];
    for (int axis : axes) {
      int at = x.shape().axis(op, axis);
      if (seen[at]) {
        throw new ShapeException(
            op
                + ": axis named twice; got axes "
                + Arrays.toString(axes)
                + " of "
                + x.shape()
                + "; need each once");
      }
      seen[at] = true;
      dims[at] = 1;
    }
    return Shape.of(dims);
  }

  /// The shape of `x` without `axes`.
  static Shape dropped(Tensor x, int... axes) {
    boolean[] drop = new boolean[x.rank()];
    for (int axis : axes) {
      drop[x.shape().axis("reduce", axis)] = true;
    }
    long[] dims = new long[x.rank() - axes.length];
    int n = 0;
    for (int axis = 0; axis < drop.length; axis++) {
      if (!drop[axis]) {
        dims[n++] = x.dim(axis);
      }
    }
    return Shape.of(dims);
  }

  static int[] allAxes(Tensor x) {
    int[] axes = new int[x.rank()];
    Arrays.setAll(axes, i -> i);
    return axes;
  }
}
