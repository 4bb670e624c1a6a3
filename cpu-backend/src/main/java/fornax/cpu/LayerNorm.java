package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import fornax.cpu.LayerNormGroup.Loop;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
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

  /// `sum = a + b` by rows, one after another.
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

    void run(long row, int rows) {
      MemorySegment as = a.read(row, rows);
      MemorySegment bs = b.read(row, rows);
      MemorySegment sums = sum.write(rows);
      RowKernels.add(as, a.at(row), bs, b.at(row), sums, sum.at(row), columns * rows);
      sum.flush(row, rows);
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
    try (var work = new Workspace(b.memory())) {
      NdArray w = floats(b, work, weight, 1, x);
      NdArray shift = floats(b, work, bias, 0, x);
      var pass = new ForwardPass(before, x, w, shift, epsilon, y, mean, rstd);
      Rows.parallelParts(b.workers(), x.dim(0), COST * x.dim(1), pass::run);
    }
  }

  /// The norms of some rows.
  private record ForwardPass(
      @Nullable RowSum before,
      NdArray x,
      NdArray weight,
      NdArray bias,
      double epsilon,
      NdArray y,
      @Nullable NdArray mean,
      NdArray rstd) {
    void run(long first, long end) {
      int columns = Math.toIntExact(x.dim(1));
      Rows from = new Rows(x, columns, Scratch.ROWS);
      Rows to = new Rows(y, columns, Scratch.ROWS + 1);
      var group = new LayerNormGroup(columns);
      group.epsilon = epsilon;
      group.weight = HostBlock.segment(weight);
      group.weightO = 4 * weight.layout().offset();
      group.bias = HostBlock.segment(bias);
      group.biasO = 4 * bias.layout().offset();
      int most = Rows.group(columns);
      for (long row = first; row < end; row += most) {
        int rows = (int) Math.min(most, end - row);
        if (before != null) {
          before.run(row, rows);
        }
        group.rows = rows;
        group.x = from.read(row, rows);
        group.xo = from.at(row);
        group.y = to.write(rows);
        group.yo = to.at(row);
        if (mean == null) {
          group.run(Loop.RMS_FACTORS);
        } else {
          group.run(Loop.MEANS);
          group.run(Loop.FACTORS);
          write(group.mean, rows, mean, row);
        }
        write(group.factor, rows, rstd, row);
        group.run(Loop.AFFINE);
        to.flush(row, rows);
      }
    }
  }

  private static void write(float[] numbers, int count, NdArray y, long at) {
    MemorySegment.copy(
        numbers, 0, HostBlock.segment(y), JAVA_FLOAT, 4 * (y.layout().offset() + at), count);
  }

  private static void read(NdArray x, long at, float[] numbers, int count) {
    MemorySegment.copy(
        HostBlock.segment(x), JAVA_FLOAT, 4 * (x.layout().offset() + at), numbers, 0, count);
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
      var group = new LayerNormGroup(columns);
      group.weight = HostBlock.segment(weight);
      group.weightO = 4 * weight.layout().offset();
      group.weightSums = zeroed(weightSums, part);
      group.biasSums = zeroed(biasSums, part);
      int most = Rows.group(columns);
      for (long row = first; row < end; row += most) {
        int rows = (int) Math.min(most, end - row);
        group.rows = rows;
        group.x = from.read(row, rows);
        group.xo = from.at(row);
        group.dy = gradient.read(row, rows);
        group.dyo = gradient.at(row);
        read(rstd, row, group.factor, rows);
        if (mean != null) {
          read(mean, row, group.mean, rows);
          group.run(Loop.RESTS);
        }
        if (weightSums != null) {
          group.run(Loop.WEIGHT_SUMS);
        }
        if (biasSums != null) {
          group.run(Loop.BIAS_SUMS);
        }
        if (to != null) {
          group.run(Loop.GRADIENT_SUMS);
          if (mean == null) {
            Arrays.fill(group.gradientMean, 0, rows, 0);
          }
          write(group, row, rows, to);
        }
      }
    }

    private void write(LayerNormGroup group, long row, int rows, Rows to) {
      MemorySegment ds = to.write(rows);
      int n = columns * rows;
      if (skip == null) {
        group.y = ds;
        group.yo = to.at(row);
        group.run(Loop.GRADIENT);
      } else {
        group.y = Scratch.get().words(Scratch.TEMPORARIES + 2, n);
        group.yo = 0;
        group.run(Loop.GRADIENT);
        RowKernels.add(skip.read(row, rows), skip.at(row), group.y, 0, ds, to.at(row), n);
      }
      to.flush(row, rows);
    }

    private MemorySegment zeroed(@Nullable NdArray sums, int part) {
      if (sums == null) {
        return MemorySegment.NULL;
      }
      return HostBlock.segment(sums).asSlice(4L * part * columns, 4L * columns).fill((byte) 0);
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
