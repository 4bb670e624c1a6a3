package fornax.opencl;

import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import java.util.ArrayList;
import java.util.List;

/// Launches `pool2d.cl`.
final class Pool2d {
  private final OpenClQueue queue;
  private final Tuning tuning;

  Pool2d(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void max(NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    String types = Types.option("maxPool2d", "X", x) + Types.option("maxPool2d", "Y", y);
    launch("maxPool2d", "max_pool2d", types, x, y, options, y.elements(), x, y, places);
  }

  void maxGradient(NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    String op = "maxPool2dGradient";
    String types = Types.option(op, "DY", dy) + Types.option(op, "DX", dx);
    launch(op, "max_pool2d_gradient", types, dx, dy, options, dx.elements(), places, dy, dx);
  }

  void mean(NdArray x, Pool2dOptions options, NdArray y) {
    String types = Types.option("avgPool2d", "X", x) + Types.option("avgPool2d", "Y", y);
    launch("avgPool2d", "avg_pool2d", types, x, y, options, y.elements(), x, y);
  }

  void meanGradient(NdArray dy, Pool2dOptions options, NdArray dx) {
    String op = "avgPool2dGradient";
    String types = Types.option(op, "DY", dy) + Types.option(op, "DX", dx);
    launch(op, "avg_pool2d_gradient", types, dx, dy, options, dx.elements(), dy, dx);
  }

  private void launch(
      String op,
      String kernel,
      String types,
      NdArray x,
      NdArray y,
      Pool2dOptions options,
      long elements,
      NdArray... arrays) {
    List<Object> arguments = new ArrayList<>(List.of((Object[]) arrays));
    arguments.addAll(
        List.of(
            elements,
            x.dim(2),
            x.dim(3),
            y.dim(2),
            y.dim(3),
            options.window().height(),
            options.window().width(),
            options.stride().height(),
            options.stride().width(),
            options.padding().height(),
            options.padding().width()));
    queue.launch(
        op,
        Kernel.Spec.of("pool2d", kernel, types),
        Grid.items(elements, tuning.flat()),
        arguments.toArray());
  }
}
