package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Workspace;

/// Launches `gather.cl`.
final class Gather {
  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Elementwise elementwise;
  private final Memory memory;

  Gather(OpenClQueue queue, Tuning tuning, Elementwise elementwise, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.elementwise = elementwise;
    this.memory = memory;
  }

  void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    queue.launch(
        "gather",
        Kernel.Spec.of("gather", "gather", Types.option("gather", "X", x)),
        Grid.items(y.elements(), tuning.flat()),
        x,
        indices,
        y,
        KernelLoops.of("gather", Reduction.lines(x, axis, y.shape()), indices.layout(), y.layout()),
        x.dim(axis),
        x.layout().stride(axis),
        new IndexErrors.Check("gather", indices.layout(), x.dim(axis)));
  }

  void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    if (y.dtype().isHalf()) { // sums in F32, rounded once
      try (var work = new Workspace(memory)) {
        NdArray sums = work.allocate(DType.F32, y.shape());
        elementwise.copy(y, sums);
        scatterAdd(x, axis, indices, sums);
        elementwise.copy(sums, y);
      }
      return;
    }
    Shape lines = x.shape().with(axis, 1);
    int at = x.shape().axis("scatterAdd", axis);
    queue.launch(
        "scatterAdd",
        Kernel.Spec.of(
            "gather",
            "scatter_add",
            Types.option("scatterAdd", "X", x) + Types.option("scatterAdd", "Y", y)),
        Grid.items(x.elements() == 0 ? 0 : lines.elements(), tuning.narrow()),
        x,
        indices,
        y,
        KernelLoops.of(
            "scatterAdd",
            Reduction.lines(x, axis, lines),
            Reduction.lines(indices, axis, lines),
            Reduction.lines(y, axis, lines)),
        x.dim(axis),
        x.layout().stride(axis),
        indices.layout().stride(axis),
        y.layout().stride(axis),
        y.dim(axis),
        x.shape().trailing(x.rank() - at - 1).elements(),
        new IndexErrors.Check("scatterAdd", indices.layout(), y.dim(axis)));
  }
}
