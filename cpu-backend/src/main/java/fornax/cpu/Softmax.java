package fornax.cpu;

import fornax.array.Shape;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import fornax.cpu.SoftmaxGroup.Loop;
import java.lang.foreign.MemorySegment;

/// Softmax and its logarithm over the last axis, and their gradients: `y = exp(x − m) / Σ exp(x −
/// m)`, `m = max(x)`. Other axes are moved to the end and back.
final class Softmax {
  private static final int COST = 12; // of an element, in multiply-adds

  private Softmax() {}

  /// An operation on rows of the last axis.
  @FunctionalInterface
  private interface ByRows {
    void run(NdArray x, NdArray y);
  }

  /// A gradient by rows of the last axis.
  @FunctionalInterface
  private interface Gradient {
    void run(Workers workers, NdArray y, NdArray dy, NdArray dx);
  }

  static void forward(CpuBackend b, NdArray x, int axis, NdArray y) {
    lastAxis(b, x, axis, y, (rows, result) -> forwardRows(b.workers(), rows, result));
  }

  static void logForward(CpuBackend b, NdArray x, int axis, NdArray y) {
    lastAxis(b, x, axis, y, (rows, result) -> logForwardRows(b.workers(), rows, result));
  }

  static void gradient(CpuBackend b, NdArray y, NdArray dy, int axis, NdArray dx) {
    gradient(b, y, dy, axis, dx, Softmax::gradientRows);
  }

  static void logGradient(CpuBackend b, NdArray y, NdArray dy, int axis, NdArray dx) {
    gradient(b, y, dy, axis, dx, Softmax::logGradientRows);
  }

  private static void lastAxis(CpuBackend b, NdArray x, int axis, NdArray y, ByRows op) {
    if (isLast(x, axis)) {
      op.run(x, y);
      return;
    }
    try (var work = new Workspace(b.memory())) {
      NdArray moved = moved(b, work, x, axis);
      op.run(moved, moved);
      b.copy(moved.swapAxes(axis, -1), y);
    }
  }

  private static void gradient(
      CpuBackend b, NdArray y, NdArray dy, int axis, NdArray dx, Gradient op) {
    if (isLast(y, axis)) {
      op.run(b.workers(), y, dy, dx);
      return;
    }
    try (var work = new Workspace(b.memory())) {
      NdArray yMoved = moved(b, work, y, axis);
      NdArray dyMoved = moved(b, work, dy, axis);
      op.run(b.workers(), yMoved, dyMoved, dyMoved);
      b.copy(dyMoved.swapAxes(axis, -1), dx);
    }
  }

  private static boolean isLast(NdArray x, int axis) {
    return axis == -1 || axis == x.rank() - 1;
  }

  private static NdArray moved(CpuBackend b, Workspace work, NdArray x, int axis) {
    NdArray view = x.swapAxes(axis, -1);
    Shape shape = view.shape();
    NdArray moved = work.allocate(x.dtype(), shape);
    b.copy(view, moved);
    return moved;
  }

  private static void forwardRows(Workers workers, NdArray x, NdArray y) {
    int columns = Math.toIntExact(x.dim(-1));
    Rows from = new Rows(x, columns, Scratch.ROWS);
    Rows to = new Rows(y, columns, Scratch.ROWS + 1);
    Rows.parallelParts(
        workers,
        rows(x),
        (long) COST * columns,
        (first, end) -> {
          var group = new SoftmaxGroup(columns);
          int most = Rows.group(columns);
          for (long row = first; row < end; row += most) {
            int rows = (int) Math.min(most, end - row);
            group.rows = rows;
            group.x = from.read(row, rows);
            group.xo = from.at(row);
            group.y = to.write(rows);
            group.yo = to.at(row);
            group.run(Loop.MAX);
            group.run(Loop.EXP);
            group.run(Loop.INVERSE);
            group.run(Loop.SCALE);
            to.flush(row, rows);
          }
        });
  }

  private static void logForwardRows(Workers workers, NdArray x, NdArray y) {
    int columns = Math.toIntExact(x.dim(-1));
    Rows from = new Rows(x, columns, Scratch.ROWS);
    Rows to = new Rows(y, columns, Scratch.ROWS + 1);
    Rows.parallel(
        workers,
        rows(x),
        (long) COST * columns,
        row -> {
          MemorySegment xs = from.read(row);
          long xo = from.at(row);
          float max = RowKernels.max(xs, xo, columns);
          float log = ScalarMath.log((float) RowKernels.sumExp(xs, xo, max, columns));
          MemorySegment ys = to.write();
          long yo = to.at(row);
          // Two steps: max + log rounds to the size of max, which may be large.
          RowKernels.subtract(xs, xo, max, ys, yo, columns);
          RowKernels.subtract(ys, yo, log, ys, yo, columns);
          to.flush(row);
        });
  }

  private static void gradientRows(Workers workers, NdArray y, NdArray dy, NdArray dx) {
    int columns = Math.toIntExact(y.dim(-1));
    Rows result = new Rows(y, columns, Scratch.ROWS);
    Rows from = new Rows(dy, columns, Scratch.ROWS + 1);
    Rows to = new Rows(dx, columns, Scratch.ROWS + 2);
    Rows.parallelParts(
        workers,
        rows(y),
        (long) COST * columns,
        (first, end) -> {
          var group = new SoftmaxGroup(columns);
          int most = Rows.group(columns);
          for (long row = first; row < end; row += most) {
            int rows = (int) Math.min(most, end - row);
            group.rows = rows;
            group.x = result.read(row, rows);
            group.xo = result.at(row);
            group.dy = from.read(row, rows);
            group.dyo = from.at(row);
            group.y = to.write(rows);
            group.yo = to.at(row);
            group.run(Loop.DOT);
            group.run(Loop.GRADIENT);
            to.flush(row, rows);
          }
        });
  }

  private static void logGradientRows(Workers workers, NdArray y, NdArray dy, NdArray dx) {
    int columns = Math.toIntExact(y.dim(-1));
    Rows result = new Rows(y, columns, Scratch.ROWS);
    Rows from = new Rows(dy, columns, Scratch.ROWS + 1);
    Rows to = new Rows(dx, columns, Scratch.ROWS + 2);
    Rows.parallel(
        workers,
        rows(y),
        (long) COST * columns,
        row -> {
          MemorySegment ys = result.read(row);
          MemorySegment gs = from.read(row);
          MemorySegment ds = to.write();
          long yo = result.at(row);
          long go = from.at(row);
          float sum = (float) RowKernels.sum(gs, go, columns);
          RowKernels.logSoftmaxGradient(ys, yo, gs, go, sum, ds, to.at(row), columns);
          to.flush(row);
        });
  }

  private static long rows(NdArray x) {
    return x.dim(-1) == 0 ? 0 : x.elements() / x.dim(-1);
  }
}
