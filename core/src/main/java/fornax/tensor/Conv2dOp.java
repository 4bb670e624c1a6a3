package fornax.tensor;

import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.NdArray;
import org.jspecify.annotations.Nullable;

/// Convolution over images; gradients as in [fornax.backend.Backend].
final class Conv2dOp {
  private Conv2dOp() {}

  static Tensor apply(Tensor x, Tensor w, @Nullable Tensor bias, Conv2dOptions options) {
    Tensor[] inputs = bias == null ? new Tensor[] {x, w} : new Tensor[] {x, w, bias};
    try (var call = Call.of("conv2d", inputs)) {
      check(call, x, w, bias, options);
      Extent output = output(call, x, extent(w), options);
      NdArray images = call.contiguous(x);
      NdArray filters = call.contiguous(w);
      NdArray y =
          call.allocate(x.dtype(), Shape.of(x.dim(0), w.dim(0), output.height(), output.width()));
      call.backend.conv2d(images, filters, bias == null ? null : call.contiguous(bias), options, y);
      return call.result(y, g -> gradient(g, options), images, filters);
    }
  }

  static Tensor unfold(Tensor x, Extent kernel, Conv2dOptions options) {
    try (var call = Call.of("unfold2d", x)) {
      call.needFloating(x);
      if (x.rank() != 4) {
        throw new ShapeException("unfold2d: not images; got " + x.shape() + "; need [N, C, H, W]");
      }
      Extent output = output(call, x, kernel, options);
      NdArray columns =
          call.allocate(
              x.dtype(),
              Shape.of(
                  x.dim(0),
                  x.dim(1),
                  kernel.height(),
                  kernel.width(),
                  output.height(),
                  output.width()));
      call.backend.unfold2d(call.contiguous(x), options, columns);
      return call.result(
          columns,
          g -> {
            NdArray dx = g.like(0);
            g.backend().fold2d(g.contiguousDy(), options, dx);
            g.give(0, dx);
          });
    }
  }

  private static Extent output(Call call, Tensor x, Extent kernel, Conv2dOptions options) {
    Extent output = options.output(extent(x), kernel);
    if (output.height() < 1 || output.width() < 1) {
      throw new ShapeException(
          call.op
              + ": the filter is larger than the padded image; got x "
              + x.shape()
              + ", filter "
              + kernel
              + ", padding "
              + options.padding()
              + ", dilation "
              + options.dilation()
              + "; need a smaller filter or more padding");
    }
    return output;
  }

  private static void gradient(Backprop g, Conv2dOptions options) {
    NdArray dy = g.contiguousDy();
    if (g.inputs() == 3 && g.wants(2)) {
      Backprop.Target bias = g.rowMajorTarget(2);
      g.backend().conv2dBiasGradient(dy, bias.array(), bias.accumulate());
    }
    if (g.wants(1)) {
      Backprop.Target dw = g.rowMajorTarget(1);
      g.backend().conv2dWeightGradient(g.saved(0), dy, options, dw.array(), dw.accumulate());
    }
    if (g.wants(0)) {
      NdArray dx = g.like(0);
      g.backend().conv2dInputGradient(dy, g.saved(1), options, dx);
      g.give(0, dx);
    }
  }

  private static void check(
      Call call, Tensor x, Tensor w, @Nullable Tensor bias, Conv2dOptions options) {
    call.needFloating(x);
    call.needFloating(w);
    int groups = options.groups();
    if (x.rank() != 4 || w.rank() != 4 || x.dim(1) != w.dim(1) * groups || w.dim(0) % groups != 0) {
      throw new ShapeException(
          "conv2d: x and w do not fit; got x "
              + x.shape()
              + " and w "
              + w.shape()
              + " in "
              + groups
              + (groups == 1 ? " group" : " groups")
              + "; need x [N, C, H, W] and w [O, C/groups, h, w] with groups a divisor of O");
    }
    if (w.dim(2) < 1 || w.dim(3) < 1) {
      throw new ShapeException("conv2d: a filter without elements; got w " + w.shape());
    }
    if (bias != null) {
      call.needFloating(bias);
      if (!bias.shape().equals(Shape.of(w.dim(0)))) {
        throw new ShapeException(
            "conv2d: bias and w do not fit; got bias "
                + bias.shape()
                + " and w "
                + w.shape()
                + "; need bias ["
                + w.dim(0)
                + "]");
      }
    }
  }

  static Extent extent(Tensor images) {
    if (images.dim(2) > Integer.MAX_VALUE || images.dim(3) > Integer.MAX_VALUE) {
      throw new ShapeException(
          "images: too large; got "
              + images.shape()
              + "; need height and width of at most "
              + Integer.MAX_VALUE);
    }
    return Extent.of((int) images.dim(2), (int) images.dim(3));
  }
}
