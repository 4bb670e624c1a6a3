package fornax.cuda;

import fornax.backend.Conv2dOptions;
import fornax.backend.NdArray;

/// Launches of `conv2d.cu`.
final class Conv2d {
  private static final String FILE = "conv2d";

  private final CudaDevice device;

  Conv2d(CudaDevice device) {
    this.device = device;
  }

  /// Whether there was a kernel for columns that lie like these: it takes positions that lie
  /// together, and channels and the filter's elements a constant stride apart.
  boolean unfold(NdArray x, Conv2dOptions options, NdArray columns) {
    long stride = columns.layout().stride(3);
    if (columns.layout().stride(5) != 1
        || columns.layout().stride(4) != columns.dim(5)
        || columns.layout().stride(2) != stride * columns.dim(3)
        || columns.layout().stride(1) != stride * columns.dim(3) * columns.dim(2)) {
      return false;
    }
    Launch launch =
        device
            .kernel("unfold2d", FILE, "unfold2d")
            .array(x)
            .integer(CudaDevice.type(x))
            .array(columns)
            .integer(CudaDevice.type(columns))
            .number(columns.elements())
            .number(columns.layout().stride(0))
            .number(stride);
    run(launch, x, columns, options, columns.elements());
    return true;
  }

  void fold(NdArray columns, Conv2dOptions options, NdArray x) {
    Launch launch =
        device
            .kernel("fold2d", FILE, "fold2d")
            .array(columns)
            .integer(CudaDevice.type(columns))
            .array(x)
            .integer(CudaDevice.type(x))
            .number(x.elements());
    run(launch, x, columns, options, x.elements());
  }

  // A `Filter`, and a thread to each element.
  private static void run(
      Launch launch, NdArray x, NdArray columns, Conv2dOptions options, long elements) {
    launch
        .struct()
        .pair(Math.toIntExact(x.dim(1)), Math.toIntExact(x.dim(2)))
        .pair(Math.toIntExact(x.dim(3)), (int) columns.dim(2))
        .pair((int) columns.dim(3), (int) columns.dim(4))
        .pair((int) columns.dim(5), options.stride().height())
        .pair(options.stride().width(), options.padding().height())
        .pair(options.padding().width(), options.dilation().height())
        .pair(options.dilation().width(), 0)
        .threads(elements);
  }
}
