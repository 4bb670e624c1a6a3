package fornax.cpu;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Loops;
import fornax.array.Shape;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Matrix products of arrays, and the linear layer with its bias and activation applied while a
/// result is still in registers.
final class Linear {
  private static final int COST = 12; // of an element of the gradient, in multiply-adds

  private Linear() {}

  static void matmul(CpuBackend b, NdArray a, NdArray w, NdArray y, boolean accumulate) {
    if (y.elements() == 0) {
      return;
    }
    if (y.layout().stride(-1) != 1 && y.dim(-1) != 1) {
      transposed(b, a, w, y, accumulate);
      return;
    }
    MatmulArgs args = args(a, w, y);
    args.accumulate = accumulate;
    b.multiply(args);
  }

  // A result that is not contiguous along its rows: yᵀ = wᵀ·aᵀ, or a copy.
  private static void transposed(
      CpuBackend b, NdArray a, NdArray w, NdArray y, boolean accumulate) {
    if (y.layout().stride(-2) == 1) {
      matmul(b, w.transpose(), a.transpose(), y.transpose(), accumulate);
      return;
    }
    try (var work = new Workspace(b.memory())) {
      NdArray rows = work.allocate(y.dtype(), y.shape());
      if (accumulate) {
        b.copy(y, rows);
      }
      matmul(b, a, w, rows, accumulate);
      b.copy(rows, y);
    }
  }

  private static MatmulArgs args(NdArray a, NdArray w, NdArray y) {
    int m = Math.toIntExact(y.dim(-2));
    int n = Math.toIntExact(y.dim(-1));
    int k = Math.toIntExact(a.dim(-1));
    if (y.rank() == 2) {
      return new MatmulArgs(new int[] {1, m, k, n}, view(a), view(w), view(y));
    }
    Loops batch = Loops.of(leading(a), leading(w), leading(y));
    long count = batch.runs() * batch.runLength();
    if (batch.runs() == 1) {
      long aStep = batch.runStride(0);
      long yStep = batch.runStride(2);
      if (batch.runStride(1) == 0
          && (m == 1
              || (aStep == m * a.layout().stride(-2) && yStep == m * y.layout().stride(-2)))) {
        // One right operand for all: the batch is more rows.
        int[] shape = {1, Math.toIntExact(count * m), k, n};
        return new MatmulArgs(
            shape,
            view(a, m == 1 ? aStep : a.layout().stride(-2)),
            view(w),
            view(y, m == 1 ? yStep : y.layout().stride(-2)));
      }
      return new MatmulArgs(
          new int[] {Math.toIntExact(count), m, k, n},
          view(a).withBatchStride(aStep),
          view(w).withBatchStride(batch.runStride(1)),
          view(y).withBatchStride(yStep));
    }
    return new MatmulArgs(
        new int[] {Math.toIntExact(count), m, k, n},
        view(a).withBatchOffsets(offsets(batch, 0)),
        view(w).withBatchOffsets(offsets(batch, 1)),
        view(y).withBatchOffsets(offsets(batch, 2)));
  }

  private static Layout leading(NdArray x) {
    return Layout.of(x.shape().leading(-2), Arrays.copyOf(x.layout().strides(), x.rank() - 2), 0);
  }

  private static long[] offsets(Loops batch, int operand) {
    int n = Math.toIntExact(batch.runLength());
    long[] offsets = new long[Math.toIntExact(batch.runs() * n)];
    for (int i = 0; i < offsets.length; i++) {
      offsets[i] = batch.start(operand, i / n) + i % n * batch.runStride(operand);
    }
    return offsets;
  }

  private static MatrixView view(NdArray x) {
    return view(x, x.layout().stride(-2));
  }

  private static MatrixView view(NdArray x, long rowStride) {
    MemorySegment data = HostBlock.segment(x);
    Layout layout = x.layout();
    // An axis of size 1 may have any stride; kernels want to see contiguous columns.
    long columnStride = x.dim(-1) == 1 ? 1 : layout.stride(-1);
    return x.dtype() == DType.BF16
        ? MatrixView.ofBfloat16(data, layout.offset(), rowStride, columnStride)
        : MatrixView.ofFloat32(data, layout.offset(), rowStride, columnStride);
  }

  /// Whether [#forward] has the activation; null is none.
  static boolean fuses(@Nullable Unary activation) {
    return activation == null
        || activation == Unary.RELU
        || activation == Unary.GELU_TANH
        || activation == Unary.GELU_ERF;
  }

  static void forward(
      CpuBackend b,
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      NdArray y,
      @Nullable NdArray before) {
    if (y.elements() == 0) {
      return;
    }
    MatmulArgs args = args(x, w, y);
    if (bias != null) {
      args.bias = view(bias.reshape(Shape.of(1, bias.elements())));
    }
    args.activation =
        switch (activation) {
          case RELU -> Activation.RELU;
          case GELU_TANH -> Activation.GELU_TANH;
          case GELU_ERF -> Activation.GELU_ERF;
          case null, default -> Activation.NONE;
        };
    if (before != null) {
      args.preActivation = view(before);
    }
    b.multiply(args);
  }

  /// `dBefore = dy ⊙ activation′`, and its sum over rows while a row is still in the cache.
  ///
  /// @param given what the derivative is written in: see [UnaryGradientKernels#usesResult(Unary)]
  static void gradient(
      CpuBackend b,
      Unary activation,
      NdArray given,
      NdArray dy,
      NdArray dBefore,
      NdArray dBias,
      boolean accumulate) {
    long rows = dy.dim(0);
    int columns = Math.toIntExact(dy.dim(1));
    Rows from = new Rows(given, columns, Scratch.ROWS);
    Rows gradient = new Rows(dy, columns, Scratch.ROWS + 1);
    Rows to = new Rows(dBefore, columns, Scratch.ROWS + 2);
    long perPart = ColumnSums.rowsPerPart(rows);
    try (var work = new Workspace(b.memory())) {
      NdArray sums = ColumnSums.allocate(work, rows, columns);
      MemorySegment sumData = HostBlock.segment(sums);
      b.workers()
          .parallel(
              COST * dy.elements(),
              (int) ColumnSums.parts(rows),
              part -> {
                long at = 4L * part * columns;
                sumData.asSlice(at, 4L * columns).fill((byte) 0);
                long end = Math.min(rows, (part + 1) * perPart);
                for (long row = part * perPart; row < end; row++) {
                  MemorySegment xs = from.read(row);
                  MemorySegment gs = gradient.read(row);
                  MemorySegment ds = to.write();
                  long go = gradient.at(row);
                  UnaryGradientKernels.row(
                      activation, xs, from.at(row), gs, go, ds, to.at(row), columns);
                  RowKernels.add(ds, to.at(row), sumData, at, columns);
                  to.flush(row);
                }
              });
      ColumnSums.combine(b, sums, dBias, accumulate);
    }
  }
}
