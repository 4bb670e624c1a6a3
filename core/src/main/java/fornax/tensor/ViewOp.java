package fornax.tensor;

import fornax.array.Layout;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import java.util.Arrays;

/// Operations that look at the same elements in another way, copying only where a reshape must; and
/// concatenation.
final class ViewOp {
  private ViewOp() {}

  static Tensor reshape(Tensor x, long... dims) {
    try (var call = Call.of("reshape", x)) {
      Shape shape = inferred(x.shape(), dims);
      Layout layout = x.array().layout().reshape(shape);
      NdArray y = layout != null ? x.array().view(layout) : call.contiguous(x).reshape(shape);
      Shape before = x.shape();
      return call.result(
          y,
          g -> {
            NdArray dx = g.dy().tryReshape(before);
            g.pass(0, dx != null ? dx : g.contiguousDy().reshape(before));
          });
    }
  }

  private static Shape inferred(Shape from, long[] dims) {
    int unknown = -1;
    long known = 1;
    for (int i = 0; i < dims.length; i++) {
      if (dims[i] == -1) {
        if (unknown >= 0) {
          throw new ShapeException(
              "reshape: more than one -1; got " + Arrays.toString(dims) + "; need at most one");
        }
        unknown = i;
      } else {
        known *= dims[i];
      }
    }
    if (unknown < 0) {
      return Shape.of(dims);
    }
    if (known <= 0 || from.elements() % known != 0) {
      throw new ShapeException(
          "reshape: no size fits the -1; got "
              + from
              + " ("
              + from.elements()
              + ") to "
              + Arrays.toString(dims)
              + "; need "
              + known
              + " to divide "
              + from.elements());
    }
    long[] filled = dims.clone();
    filled[unknown] = from.elements() / known;
    return Shape.of(filled);
  }

  static Tensor permute(Tensor x, int... axes) {
    try (var call = Call.of("permute", x)) {
      NdArray y = x.array().permute(axes);
      int[] inverse = new int[axes.length];
      for (int i = 0; i < axes.length; i++) {
        inverse[x.shape().axis("permute", axes[i])] = i;
      }
      return call.result(y, g -> g.pass(0, g.dy().permute(inverse)));
    }
  }

  static Tensor slice(Tensor x, int axis, long start, long end) {
    try (var call = Call.of("slice", x)) {
      return call.result(
          x.array().slice(axis, start, end),
          g -> {
            Backprop.Target dx = g.target(0);
            NdArray part = dx.array().slice(axis, start, end);
            if (dx.accumulate()) {
              g.backend().binary(Binary.ADD, part, g.dy(), part);
            } else {
              g.backend().fill(dx.array(), 0);
              g.backend().copy(g.dy(), part);
            }
          });
    }
  }

  static Tensor expand(Tensor x, Shape shape) {
    try (var call = Call.of("expand", x)) {
      return call.result(x.array().expand(shape), g -> g.passReduced(0, g.dy()));
    }
  }

  static Tensor copy(Tensor x) {
    try (var call = Call.of("copy", x)) {
      NdArray y = call.allocate(x.dtype(), x.shape());
      call.backend.copy(x.array(), y);
      return call.result(y, g -> g.pass(0, g.dy()));
    }
  }

  static Tensor concat(int axis, Tensor... xs) {
    if (xs.length == 0) {
      throw new ShapeException("concat: nothing to join; got no tensors; need at least one");
    }
    try (var call = Call.of("concat", xs)) {
      Shape first = xs[0].shape();
      int at = first.axis("concat", axis);
      long total = 0;
      for (Tensor x : xs) {
        call.need(xs[0].dtype(), "a part", x);
        if (x.rank() != first.rank() || !x.shape().with(at, 1).equals(first.with(at, 1))) {
          throw new ShapeException(
              "concat: shapes differ outside axis "
                  + axis
                  + "; got "
                  + first
                  + " and "
                  + x.shape()
                  + "; need equal sizes everywhere else");
        }
        total += x.dim(at);
      }
      NdArray y = call.allocate(xs[0].dtype(), first.with(at, total));
      long[] starts = new long[xs.length + 1];
      for (int i = 0; i < xs.length; i++) {
        starts[i + 1] = starts[i] + xs[i].dim(at);
        call.backend.copy(xs[i].array(), y.slice(at, starts[i], starts[i + 1]));
      }
      return call.result(
          y,
          g -> {
            for (int i = 0; i < starts.length - 1; i++) {
              g.pass(i, g.dy().slice(at, starts[i], starts[i + 1]));
            }
          });
    }
  }
}
