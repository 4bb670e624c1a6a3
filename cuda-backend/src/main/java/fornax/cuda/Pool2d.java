package fornax.cuda;

import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;

/// Launches of `pool2d.cu`.
final class Pool2d {
  private static final String FILE = "pool2d";

  private final CudaDevice device;

  Pool2d(CudaDevice device) {
    this.device = device;
  }

  void max(NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    Launch launch = typed(device.kernel("maxPool2d", FILE, "max_pool2d"), x, y).array(places);
    run(launch, x, y, options, y.elements());
  }

  void maxGradient(NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    Launch launch = device.kernel("maxPool2dGradient", FILE, "max_pool2d_gradient").array(places);
    run(typed(launch, dy, dx), dx, dy, options, dx.elements());
  }

  void mean(NdArray x, Pool2dOptions options, NdArray y) {
    Launch launch = typed(device.kernel("avgPool2d", FILE, "avg_pool2d"), x, y);
    run(launch, x, y, options, y.elements());
  }

  void meanGradient(NdArray dy, Pool2dOptions options, NdArray dx) {
    Launch launch = device.kernel("avgPool2dGradient", FILE, "avg_pool2d_gradient");
    run(typed(launch, dy, dx), dx, dy, options, dx.elements());
  }

  // Two arrays, each followed by its type.
  private static Launch typed(Launch launch, NdArray x, NdArray y) {
    return launch.array(x).integer(CudaDevice.type(x)).array(y).integer(CudaDevice.type(y));
  }

  // The elements, a `Window`, and a thread to each element.
  private static void run(
      Launch launch, NdArray x, NdArray y, Pool2dOptions options, long elements) {
    launch
        .number(elements)
        .struct()
        .pair(Math.toIntExact(x.dim(2)), Math.toIntExact(x.dim(3)))
        .pair(Math.toIntExact(y.dim(2)), Math.toIntExact(y.dim(3)))
        .pair(options.window().height(), options.window().width())
        .pair(options.stride().height(), options.stride().width())
        .pair(options.padding().height(), options.padding().width())
        .threads(elements);
  }
}
