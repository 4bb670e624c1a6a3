package fornax.opencl;

import fornax.array.Shape;
import fornax.backend.NdArray;

/// Launches `scan.cl`.
final class Scan {
  private final OpenClQueue queue;
  private final Tuning tuning;

  Scan(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void cumulativeSum(NdArray x, int axis, NdArray y) {
    Shape lines = x.shape().with(axis, 1);
    queue.launch(
        "cumulativeSum",
        Kernel.Spec.of(
            "scan",
            "cumulative_sum",
            Types.option("cumulativeSum", "X", x) + Types.option("cumulativeSum", "Y", y)),
        Grid.items(x.dim(axis) == 0 ? 0 : lines.elements(), tuning.narrow()),
        x,
        y,
        KernelLoops.of(
            "cumulativeSum", Reduction.lines(x, axis, lines), Reduction.lines(y, axis, lines)),
        x.dim(axis),
        x.layout().stride(axis),
        y.layout().stride(axis));
  }
}
