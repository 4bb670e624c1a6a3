package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Layer normalisation over the last axis and its gradient, and RMS normalisation, which is the
/// same with a mean of 0. See [fornax.backend.Backend] for the formulas, and for the rest of the
/// mean that its rounding leaves.
final class LayerNorm {
  private static final int COST = 4; // of an element, in multiply-adds

  private LayerNorm() {}

  /// @param mean null for RMS normalisation
  static void forward(
      CpuBackend b,
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      @Nullable NdArray mean,
      NdArray rstd) {
    forward(b, null, x, weight, bias, epsilon, y, mean, rstd);
  }

  /// `sum` and its norm, in the same bits as an addition and [#forward] give.
  static void addForward(
      CpuBackend b,
      NdArray x,
      NdArray addend,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray sum,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    forward(b, new RowSum(x, addend, sum), sum, weight, bias, epsilon, y, mean, rstd);
  }

  /// `sum = a + b` by rows.
  private static final class RowSum {
    private final int columns;
    private final Rows a;
    private final Rows b;
    private final Rows sum;

    RowSum(NdArray a, NdArray b, NdArray sum) {
      this.columns = Math.toIntExact(sum.dim(1));
      this.a = new Rows(a, columns, Scratch.ROWS);
      this.b = new Rows(b, columns, Scratch.ROWS + 1);
      this.sum = new Rows(sum, columns, Scratch.ROWS + 2);
    }

    void run(long row) {
      MemorySegment as = a.read(row);
      MemorySegment bs = b.read(row);
      RowKernels.add(as, a.at(row), bs, b.at(row), sum.write(), sum.at(row), columns);
      sum.flush(row);
    }
  }

  // `before` makes each row of x.
  private static void forward(
      CpuBackend b,
      @Nullable RowSum before,
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      @Nullable NdArray mean,
      NdArray rstd) {
    int columns = Math.toIntExact(x.dim(1));
    Rows from = new Rows(x, columns, Scratch.ROWS);
    Rows to = new Rows(y, columns, Scratch.ROWS + 1);
    MemorySegment means = mean == null ? null : HostBlock.segment(mean);
    long meansAt = mean == null ? 0 : 4 * mean.layout().offset();
    MemorySegment factors = HostBlock.segment(rstd);
    long factorsAt = 4 * rstd.layout().offset();
    try (var work = new Workspace(b.memory())) {
      NdArray w = floats(b, work, weight, 1, x);
      NdArray shift = floats(b, work, bias, 0, x);
      MemorySegment ws = HostBlock.segment(w);
      MemorySegment bs = HostBlock.segment(shift);
      long wo = 4 * w.layout().offset();
      long bo = 4 * shift.layout().offset();
      Rows.parallel(
          b.workers(),
          x.dim(0),
          (long) COST * columns,
          row -> {
            if (before != null) {
              before.run(row);
            }
            MemorySegment xs = from.read(row);
            MemorySegment ys = to.write();
            long xo = from.at(row);
            long yo = to.at(row);
            float m = 0;
            double rest = 0;
            if (means != null) {
              m = (float) (RowKernels.sum(xs, xo, columns) / columns);
              means.set(JAVA_FLOAT, meansAt + 4 * row, m);
            }
            RowKernels.subtract(xs, xo, m, ys, yo, columns);
            if (means != null) {
              rest = RowKernels.sum(ys, yo, columns) / columns;
            }
            double squares = RowKernels.dot(ys, yo, ys, yo, columns) / columns;
            double variance = Math.max(0, squares - rest * rest);
            float factor = (float) (1 / Math.sqrt(variance + epsilon));
            factors.set(JAVA_FLOAT, factorsAt + 4 * row, factor);
            RowKernels.affine(ws, wo, bs, bo, (float) rest, factor, ys, yo, columns);
            to.flush(row);
          });
    }
  }

  /// @param mean null for RMS normalisation
  /// @param skip added to dx, which may be skip itself
  static void gradient(
      CpuBackend b,
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray mean,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray skip,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    long rows = x.dim(0);
    long perPart = ColumnSums.rowsPerPart(rows);
    try (var work = new Workspace(b.memory())) {
      NdArray weightSums = dWeight == null ? null : ColumnSums.allocate(work, rows, x.dim(1));
      NdArray biasSums = dBias == null ? null : ColumnSums.allocate(work, rows, x.dim(1));
      NdArray w = floats(b, work, weight, 1, x);
      var part = new GradientPart(x, w, mean, rstd, dy, skip, dx, weightSums, biasSums);
      b.workers()
          .parallel(
              2L * COST * x.elements(),
              (int) ColumnSums.parts(rows),
              i -> part.run(i, i * perPart, Math.min(rows, (i + 1) * perPart)));
      if (dWeight != null && weightSums != null) {
        ColumnSums.combine(b, weightSums, dWeight, accumulate);
      }
      if (dBias != null && biasSums != null) {
        ColumnSums.combine(b, biasSums, dBias, accumulate);
      }
    }
  }

  /// The gradient of some rows, and their part of the sums over rows.
  private static final class GradientPart {
    private final int columns;
    private final Rows from;
    private final Rows gradient;
    private final @Nullable Rows skip;
    private final @Nullable Rows to;
    private final NdArray weight;
    private final @Nullable NdArray mean;
    private final NdArray rstd;
    private final @Nullable NdArray weightSums;
    private final @Nullable NdArray biasSums;

    GradientPart(
        NdArray x,
        NdArray weight,
        @Nullable NdArray mean,
        NdArray rstd,
        NdArray dy,
        @Nullable NdArray skip,
        @Nullable NdArray dx,
        @Nullable NdArray weightSums,
        @Nullable NdArray biasSums) {
      this.columns = Math.toIntExact(x.dim(1));
      this.from = new Rows(x, columns, Scratch.ROWS);
      this.gradient = new Rows(dy, columns, Scratch.ROWS + 1);
      this.skip = skip == null ? null : new Rows(skip, columns, Scratch.ROWS + 2);
      this.to = dx == null ? null : new Rows(dx, columns, Scratch.ROWS + 3);
      this.weight = weight;
      this.mean = mean;
      this.rstd = rstd;
      this.weightSums = weightSums;
      this.biasSums = biasSums;
    }

    void run(int part, long first, long end) {
      MemorySegment weightSum = zeroed(weightSums, part);
      MemorySegment biasSum = zeroed(biasSums, part);
      MemorySegment ws = HostBlock.segment(weight);
      long wo = 4 * weight.layout().offset();
      Scratch scratch = Scratch.get();
      MemorySegment normal = scratch.words(Scratch.TEMPORARIES + 1, columns);
      MemorySegment weighted = scratch.words(Scratch.TEMPORARIES + 2, columns);
      for (long row = first; row < end; row++) {
        MemorySegment xs = from.read(row);
        MemorySegment gs = gradient.read(row);
        long go = gradient.at(row);
        float factor = at(rstd, row);
        long xo = from.at(row);
        RowKernels.subtract(xs, xo, mean == null ? 0 : at(mean, row), normal, 0, columns);
        double rest = mean == null ? 0 : RowKernels.sum(normal, 0, columns) / columns;
        RowKernels.normalize(normal, 0, (float) rest, factor, normal, 0, columns);
        if (weightSum != null) {
          RowKernels.multiplyAdd(gs, go, normal, 0, weightSum, 0, columns);
        }
        if (biasSum != null) {
          RowKernels.add(gs, go, biasSum, 0, columns);
        }
        if (to != null) {
          RowKernels.multiply(gs, go, ws, wo, weighted, 0, columns);
          double sum = mean == null ? 0 : RowKernels.sum(weighted, 0, columns);
          double dot = RowKernels.dot(weighted, 0, normal, 0, columns);
          float a = (float) (sum / columns);
          float b = (float) (dot / columns);
          MemorySegment ds = to.write();
          long at = to.at(row);
          if (skip == null) {
            RowKernels.normGradient(weighted, 0, normal, 0, factor, a, b, ds, at, columns);
          } else {
            RowKernels.normGradient(weighted, 0, normal, 0, factor, a, b, weighted, 0, columns);
            RowKernels.add(skip.read(row), skip.at(row), weighted, 0, ds, at, columns);
          }
          to.flush(row);
        }
      }
    }

    private @Nullable MemorySegment zeroed(@Nullable NdArray sums, int part) {
      if (sums == null) {
        return null;
      }
      return HostBlock.segment(sums).asSlice(4L * part * columns, 4L * columns).fill((byte) 0);
    }

    private static float at(NdArray x, long row) {
      return HostBlock.segment(x).get(JAVA_FLOAT, 4 * (x.layout().offset() + row));
    }
  }

  // x as a contiguous F32 row; `otherwise` in each column if it is null.
  private static NdArray floats(
      CpuBackend b, Workspace work, @Nullable NdArray x, double otherwise, NdArray rows) {
    if (x != null && x.dtype() == DType.F32) {
      return x;
    }
    NdArray row = work.allocate(DType.F32, rows.shape().without(0));
    if (x == null) {
      b.fill(row, otherwise);
    } else {
      b.copy(x, row);
    }
    return row;
  }
}
