package fornax.opencl;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Reduce;
import fornax.backend.Workspace;

/// Launches `reduction.cl`.
final class Reduction {
  private static final int RUN = 32; // elements that a work-item of a row adds one after another
  private static final int COLUMN_RUN = 64; // likewise of a column

  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;

  Reduction(OpenClQueue queue, Tuning tuning, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
  }

  void reduce(Reduce op, NdArray x, NdArray y) {
    int rank = x.rank();
    long[] keptStrides = x.layout().strides();
    long[] reducedDims = new long[rank];
    for (int axis = 0; axis < rank; axis++) {
      boolean reduces = y.dim(axis) == 1;
      reducedDims[axis] = reduces ? x.dim(axis) : 1;
      if (reduces) {
        keptStrides[axis] = 0;
      }
    }
    if (y.elements() == 0) {
      return;
    }
    KernelLoops kept = KernelLoops.of("reduce", Layout.of(y.shape(), keptStrides, 0), y.layout());
    KernelLoops reduced =
        KernelLoops.of("reduce", Layout.of(Shape.of(reducedDims), x.layout().strides(), 0));
    long outputs = y.elements();
    long count = reduced.count();
    boolean rows = outputs < 64 || innerStride(reduced) <= innerStride(kept);
    int group = rows ? tuning.row(count) : tuning.flat();
    long chunk = rows ? (long) group * RUN : COLUMN_RUN;
    long chunks = Math.max(1, Grid.ceilDiv(count, chunk)); // one of nothing gives the identity
    Grid grid = rows ? Grid.groups(outputs, chunks, group) : Grid.items(outputs, chunks, group);
    String kernel = rows ? "reduce_rows" : "reduce_columns";
    String options =
        Types.option("reduce", "X", x)
            + " -D OP="
            + op
            + (rows ? " -D GROUP=" + group : "")
            + (reduced.isLine() ? " -D FLAT" : "");
    if (chunks == 1) {
      queue.launch(
          "reduce",
          Kernel.Spec.of("reduction", kernel, options + Types.option("reduce", "Y", y)),
          grid,
          x,
          y,
          kept,
          reduced,
          chunk,
          0L);
      return;
    }
    try (var work = new Workspace(memory)) {
      DType type = x.dtype() == DType.I32 ? DType.I32 : DType.F32;
      NdArray partial = work.allocate(type, y.shape().insert(0, chunks));
      KernelLoops toPartial =
          KernelLoops.of("reduce", Layout.of(y.shape(), keptStrides, 0), Layout.of(y.shape()));
      queue.launch(
          "reduce",
          Kernel.Spec.of("reduction", kernel, options + Types.option("reduce", "Y", partial)),
          grid,
          x,
          partial,
          toPartial,
          reduced,
          chunk,
          outputs);
      reduce(op, partial, withLeadingAxis(y));
    }
  }

  // y with an axis of size 1 in front.
  private static NdArray withLeadingAxis(NdArray y) {
    long[] strides = new long[y.rank() + 1];
    System.arraycopy(y.layout().strides(), 0, strides, 1, y.rank());
    return y.view(Layout.of(y.shape().insert(0, 1), strides, y.layout().offset()));
  }

  private static long innerStride(KernelLoops loops) {
    return loops.count() <= 1
        ? Long.MAX_VALUE
        : Math.abs(loops.loops().stride(0, loops.loops().rank() - 1));
  }

  void argmax(NdArray x, int axis, NdArray y) {
    int group = tuning.row(x.dim(axis));
    queue.launch(
        "argmax",
        Kernel.Spec.of(
            "reduction", "argmax", Types.option("argmax", "X", x) + " -D OP=MAX -D GROUP=" + group),
        Grid.groups(y.elements(), group),
        x,
        y,
        KernelLoops.of("argmax", lines(x, axis, y.shape()), y.layout()),
        x.dim(axis),
        x.layout().stride(axis));
  }

  /// The layout of `x` as `shape`, with nothing moving along `axis`: where its lines along that
  /// axis start.
  static Layout lines(NdArray x, int axis, Shape shape) {
    long[] strides = x.layout().strides();
    strides[x.shape().axis("lines", axis)] = 0;
    return Layout.of(shape, strides, 0);
  }
}
