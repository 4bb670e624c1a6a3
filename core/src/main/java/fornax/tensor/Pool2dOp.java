package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Extent;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;

/// The largest element or the mean of windows of images; gradients as in [fornax.backend.Backend].
final class Pool2dOp {
  private Pool2dOp() {}

  static Tensor max(Tensor x, Pool2dOptions options) {
    try (var call = Call.of("maxPool2d", x)) {
      Shape shape = output(call, x, options);
      NdArray y = call.allocate(x.dtype(), shape);
      NdArray places = call.allocate(DType.I32, shape);
      call.backend.maxPool2d(call.contiguous(x), options, y, places);
      return call.result(
          y,
          g -> {
            NdArray dx = g.like(0);
            g.backend().maxPool2dGradient(g.saved(0), g.contiguousDy(), options, dx);
            g.give(0, dx);
          },
          places);
    }
  }

  static Tensor mean(Tensor x, Pool2dOptions options) {
    try (var call = Call.of("avgPool2d", x)) {
      NdArray y = call.allocate(x.dtype(), output(call, x, options));
      call.backend.avgPool2d(call.contiguous(x), options, y);
      return call.result(
          y,
          g -> {
            NdArray dx = g.like(0);
            g.backend().avgPool2dGradient(g.contiguousDy(), options, dx);
            g.give(0, dx);
          });
    }
  }

  private static Shape output(Call call, Tensor x, Pool2dOptions options) {
    call.needFloating(x);
    if (x.rank() != 4) {
      throw new ShapeException(call.op + ": not images; got " + x.shape() + "; need [N, C, H, W]");
    }
    if (x.dim(2) < 1 || x.dim(3) < 1) { // a window would lie in the padding alone
      throw new ShapeException(
          call.op
              + ": images without pixels; got "
              + x.shape()
              + "; need at least one row and one column");
    }
    Extent output = options.output(Conv2dOp.extent(x));
    if (output.height() < 1 || output.width() < 1) {
      throw new ShapeException(
          call.op
              + ": the window is larger than the padded image; got x "
              + x.shape()
              + ", window "
              + options.window()
              + ", padding "
              + options.padding()
              + "; need a smaller window or more padding");
    }
    return Shape.of(x.dim(0), x.dim(1), output.height(), output.width());
  }
}
