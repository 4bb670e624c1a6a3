package fornax.opencl;

import fornax.backend.Conv2dOptions;
import fornax.backend.NdArray;
import java.util.ArrayList;
import java.util.List;

/// Launches `conv2d.cl`.
final class Conv2d {
  private final OpenClQueue queue;
  private final Tuning tuning;

  Conv2d(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  /// Whether there is a kernel for columns that lie like this: positions together, and channels and
  /// the filter's elements a constant stride apart.
  static boolean unfolds(NdArray columns) {
    long stride = columns.layout().stride(3);
    return columns.elements() > 0
        && columns.layout().stride(5) == 1
        && columns.layout().stride(4) == columns.dim(5)
        && columns.layout().stride(2) == stride * columns.dim(3)
        && columns.layout().stride(1) == stride * columns.dim(3) * columns.dim(2);
  }

  void unfold(NdArray x, Conv2dOptions options, NdArray columns) {
    String types = Types.option("unfold2d", "X", x) + Types.option("unfold2d", "Y", columns);
    List<Object> arguments = new ArrayList<>();
    arguments.add(x);
    arguments.add(columns);
    arguments.add(columns.elements());
    arguments.add(columns.layout().stride(0));
    arguments.add(columns.layout().stride(3));
    launch("unfold2d", types, x, columns, options, columns.elements(), arguments);
  }

  void fold(NdArray columns, Conv2dOptions options, NdArray x) {
    String types = Types.option("fold2d", "X", columns) + Types.option("fold2d", "Y", x);
    List<Object> arguments = new ArrayList<>();
    arguments.add(columns);
    arguments.add(x);
    arguments.add(x.elements());
    launch("fold2d", types, x, columns, options, x.elements(), arguments);
  }

  private void launch(
      String op,
      String types,
      NdArray x,
      NdArray columns,
      Conv2dOptions options,
      long elements,
      List<Object> arguments) {
    arguments.addAll(
        List.of(
            x.dim(1),
            x.dim(2),
            x.dim(3),
            (int) columns.dim(2),
            (int) columns.dim(3),
            columns.dim(4),
            columns.dim(5),
            options.stride().height(),
            options.stride().width(),
            options.padding().height(),
            options.padding().width(),
            options.dilation().height(),
            options.dilation().width()));
    queue.launch(
        op,
        Kernel.Spec.of("conv2d", op, types),
        Grid.items(elements, tuning.flat()),
        arguments.toArray());
  }
}
