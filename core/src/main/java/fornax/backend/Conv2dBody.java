package fornax.backend;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import org.jspecify.annotations.Nullable;

/// The default bodies of convolution: the windows of the images become the columns of a matrix,
/// which the filters, as rows, are multiplied by. Source: Chellapilla et al., IWFHR 2006, §3.1.
final class Conv2dBody {
  /// The most elements of the matrix; images are taken in turn where there are more.
  private static final long MAX_COLUMN_ELEMENTS = 1 << 24;

  private final Backend b;
  private final Conv2dOptions options;
  private final int groups;
  private final long channels; // of a group
  private final long filters; // of a group
  private final Extent kernel;
  private final Extent output;

  private Conv2dBody(Backend b, NdArray w, NdArray y, Conv2dOptions options) {
    this.b = b;
    this.options = options;
    this.groups = options.groups();
    this.channels = w.dim(1);
    this.filters = w.dim(0) / groups;
    this.kernel = extent(w);
    this.output = extent(y);
  }

  static Extent extent(NdArray images) {
    return extent(images, 2);
  }

  private static Extent extent(NdArray x, int axis) {
    return new Extent(Math.toIntExact(x.dim(axis)), Math.toIntExact(x.dim(axis + 1)));
  }

  private long depth() {
    return channels * kernel.height() * kernel.width();
  }

  private long positions() {
    return (long) output.height() * output.width();
  }

  /// The images that are taken at a time, of `images` in all.
  private long chunk(long images) {
    long each = Math.max(1, groups * depth() * positions());
    return Math.clamp(MAX_COLUMN_ELEMENTS / each, 1, Math.max(1, images));
  }

  // x [n, C, H, W] → [G, depth, n, positions], or [n, G, depth, positions].
  private NdArray columns(Workspace work, NdArray x, boolean imagesInside) {
    long n = x.dim(0);
    Shape shape =
        imagesInside
            ? Shape.of(groups, depth(), n, positions())
            : Shape.of(n, groups, depth(), positions());
    NdArray columns = work.allocate(x.dtype(), shape);
    b.unfold2d(x, options, imagesInside ? byImages(columns, n) : byWindows(columns, n));
    return columns;
  }

  // [n, G, depth, positions] → [n, C, h, w, height, width]
  private NdArray byWindows(NdArray columns, long n) {
    return columns.reshape(
        Shape.of(
            n,
            groups * channels,
            kernel.height(),
            kernel.width(),
            output.height(),
            output.width()));
  }

  // [G, depth, n, positions] → [n, C, h, w, height, width]
  private NdArray byImages(NdArray columns, long n) {
    return columns
        .reshape(
            Shape.of(
                groups * channels,
                kernel.height(),
                kernel.width(),
                n,
                output.height(),
                output.width()))
        .permute(3, 0, 1, 2, 4, 5);
  }

  // w [O, C/G, h, w] → [n, G, O/G, depth].
  private NdArray rows(NdArray w, long n) {
    return w.reshape(Shape.of(1, groups, filters, depth()))
        .expand(Shape.of(n, groups, filters, depth()));
  }

  static void forward(
      Backend b, NdArray x, NdArray w, @Nullable NdArray bias, Conv2dOptions options, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    Conv2dBody body = new Conv2dBody(b, w, y, options);
    long chunk = body.chunk(x.dim(0));
    for (long start = 0; start < x.dim(0); start += chunk) {
      long end = Math.min(x.dim(0), start + chunk);
      body.forward(x.slice(0, start, end), w, bias, y.slice(0, start, end));
    }
  }

  private void forward(NdArray x, NdArray w, @Nullable NdArray bias, NdArray y) {
    long n = x.dim(0);
    Shape products = Shape.of(n, groups, filters, positions());
    try (var work = new Workspace(b.memory())) {
      DType type = Backend.arithmetic(y);
      NdArray sum = y.dtype() == type ? y.reshape(products) : work.allocate(type, products);
      b.matmul(rows(w, n), columns(work, x, false), sum, false);
      if (bias != null) {
        NdArray each = bias.reshape(Shape.of(1, groups, filters, 1)).expand(products);
        b.binary(Binary.ADD, sum, each, sum);
      }
      if (y.dtype() != type) {
        b.copy(sum, y.reshape(products));
      }
    }
  }

  static void inputGradient(Backend b, NdArray dy, NdArray w, Conv2dOptions options, NdArray dx) {
    if (dy.elements() == 0) {
      b.fill(dx, 0);
      return;
    }
    Conv2dBody body = new Conv2dBody(b, w, dy, options);
    long chunk = body.chunk(dx.dim(0));
    for (long start = 0; start < dx.dim(0); start += chunk) {
      long end = Math.min(dx.dim(0), start + chunk);
      body.inputGradient(dy.slice(0, start, end), w, dx.slice(0, start, end));
    }
  }

  private void inputGradient(NdArray dy, NdArray w, NdArray dx) {
    long n = dy.dim(0);
    DType type = Backend.arithmetic(dx);
    try (var work = new Workspace(b.memory())) {
      NdArray columns = work.allocate(type, Shape.of(n, groups, depth(), positions()));
      NdArray products = dy.reshape(Shape.of(n, groups, filters, positions()));
      b.matmul(rows(w, n).transpose(), products, columns, false);
      b.fold2d(byWindows(columns, n), options, dx);
    }
  }

  static void unfold(Backend b, NdArray x, Conv2dOptions options, NdArray columns) {
    Windows windows = new Windows(options.stride(), options.padding(), options.dilation());
    try (var work = new Workspace(b.memory())) {
      NdArray padded = windows.pad(b, work, x, 0);
      b.copy(windows.all(padded, extent(columns, 2), extent(columns, 4)), columns);
    }
  }

  static void fold(Backend b, NdArray columns, Conv2dOptions options, NdArray x) {
    Windows windows = new Windows(options.stride(), options.padding(), options.dilation());
    Extent kernel = extent(columns, 2);
    Extent output = extent(columns, 4);
    try (var work = new Workspace(b.memory())) {
      NdArray sum = windows.zeros(b, work, Backend.arithmetic(x), x.shape());
      for (int row = 0; row < kernel.height(); row++) {
        for (int column = 0; column < kernel.width(); column++) {
          NdArray met = windows.at(sum, row, column, output);
          b.binary(Binary.ADD, met, select(columns, row, column), met);
        }
      }
      b.copy(windows.inside(sum), x);
    }
  }

  // [n, C, h, w, height, width] → [n, C, height, width]
  private static NdArray select(NdArray columns, int row, int column) {
    NdArray one = columns.slice(2, row, row + 1).slice(3, column, column + 1);
    long[] strides = one.layout().strides();
    return one.view(
        Layout.of(
            one.shape().without(3).without(2),
            new long[] {strides[0], strides[1], strides[4], strides[5]},
            one.layout().offset()));
  }

  static void weightGradient(
      Backend b, NdArray x, NdArray dy, Conv2dOptions options, NdArray dw, boolean accumulate) {
    if (dy.elements() == 0) {
      if (!accumulate) {
        b.fill(dw, 0);
      }
      return;
    }
    Conv2dBody body = new Conv2dBody(b, dw, dy, options);
    long chunk = body.chunk(x.dim(0));
    try (var work = new Workspace(b.memory())) {
      DType type = Backend.arithmetic(dw);
      NdArray sum = dw;
      if (dw.dtype() != type) { // so that the sum is rounded once
        sum = work.allocate(type, dw.shape());
        if (accumulate) {
          b.copy(dw, sum);
        }
      }
      for (long start = 0; start < x.dim(0); start += chunk) {
        long end = Math.min(x.dim(0), start + chunk);
        body.weightGradient(
            x.slice(0, start, end), dy.slice(0, start, end), sum, accumulate || start > 0);
      }
      if (sum != dw) {
        b.copy(sum, dw);
      }
    }
  }

  private void weightGradient(NdArray x, NdArray dy, NdArray dw, boolean accumulate) {
    long n = x.dim(0);
    long terms = n * positions();
    try (var work = new Workspace(b.memory())) {
      NdArray turned = work.allocate(dy.dtype(), Shape.of(groups * filters, n, positions()));
      b.copy(dy.reshape(Shape.of(n, groups * filters, positions())).swapAxes(0, 1), turned);
      NdArray columns = columns(work, x, true).reshape(Shape.of(groups, depth(), terms));
      b.matmul(
          turned.reshape(Shape.of(groups, filters, terms)),
          columns.transpose(),
          dw.reshape(Shape.of(groups, filters, depth())),
          accumulate);
    }
  }
}
