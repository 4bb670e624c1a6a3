package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Loops;
import fornax.array.Shape;
import fornax.backend.Binary;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Reduce;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Reductions over any axes, in one of two ways.
///
/// - *Along*: neighbours in memory belong to one result. The elements of a result are cut into
///   pieces of a fixed number, reduced by [RowKernels] and combined in double precision.
/// - *Across*: neighbours in memory belong to neighbouring results, as in the sum over rows. Blocks
///   of results are added up side by side, in fixed groups of rows that are then folded pairwise.
///
/// How the work is cut depends on the shape alone.
final class Reduction {
  private static final int COST = 2; // of an element, in multiply-adds
  private static final int PIECE = 16_384;
  private static final int COLUMN_BLOCK = 1024;
  private static final int BLOCK = BlockLoop.BLOCK;

  // Rows added in single file before they are added to the sum of the others.
  private static final int GROUP = 64;

  private final Reduce op;
  private final DType type;
  private final MemorySegment data;
  private final MemorySegment result;
  private final DType resultType;
  private final Loops kept; // of x, then y
  private final Loops reduced;
  private final long count;

  private Reduction(Reduce op, NdArray x, NdArray y) {
    this.op = op;
    this.type = x.dtype();
    this.data = HostBlock.segment(x);
    this.result = HostBlock.segment(y);
    this.resultType = y.dtype();
    Shape shape = y.shape();
    int rank = x.rank();
    long[] keptStrides = x.layout().strides();
    long[] reducedDims = x.shape().toArray();
    for (int axis = 0; axis < rank; axis++) {
      if (shape.dim(axis) == x.dim(axis)) {
        reducedDims[axis] = 1;
      } else {
        keptStrides[axis] = 0;
      }
    }
    this.kept = Loops.of(Layout.of(shape, keptStrides, x.layout().offset()), y.layout());
    this.reduced = Loops.of(Layout.of(Shape.of(reducedDims), x.layout().strides(), 0));
    this.count = Shape.of(reducedDims).elements();
  }

  static void reduce(CpuBackend b, Reduce op, NdArray x, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    var reduction = new Reduction(op, x, y);
    if (x.dtype() == DType.I32) {
      reduction.ints(b.workers(), y.elements());
    } else if (reduction.count == 0) {
      b.fill(y, reduction.identity());
    } else if (reduction.kept.runLength() > 1
        && reduction.kept.runStride(0) == 1
        && (reduction.reduced.runStride(0) != 1 || reduction.count == 1)) {
      reduction.across(b);
    } else {
      reduction.along(b.workers(), y.elements());
    }
  }

  private float identity() {
    return switch (op) {
      case SUM -> 0;
      case MAX -> Float.NEGATIVE_INFINITY;
      case MIN -> Float.POSITIVE_INFINITY;
    };
  }

  // ---- along

  private void along(Workers workers, long outputs) {
    int pieces = (int) Math.ceilDiv(count, PIECE);
    if (pieces == 1) {
      Rows.parallel(workers, outputs, COST * count + 8, output -> store(output, piece(output, 0)));
      return;
    }
    double[] parts = new double[Math.toIntExact(outputs * pieces)];
    workers.parallel(
        outputs * count * COST, parts.length, i -> parts[i] = piece(i / pieces, i % pieces));
    for (int output = 0; output < outputs; output++) {
      double total = parts[output * pieces];
      for (int i = 1; i < pieces; i++) {
        total = combine(total, parts[output * pieces + i]);
      }
      store(output, total);
    }
  }

  private void store(long output, double value) {
    long n = kept.runLength();
    long place = kept.start(1, output / n) + output % n * kept.runStride(1);
    Copy.set(resultType, result, place, value);
  }

  private double piece(long output, int piece) {
    long n = kept.runLength();
    long place = kept.start(0, output / n) + output % n * kept.runStride(0);
    long from = (long) piece * PIECE;
    int length = (int) Math.min(PIECE, count - from);
    long inRun = reduced.runLength();
    long stride = reduced.runStride(0);
    if (stride == 1 && type == DType.F32 && inRun >= Math.min(BLOCK, length)) {
      return pieceInPlace(place, from, length);
    }
    // Gathers blocks.
    MemorySegment words = Scratch.get().words(Scratch.OPERANDS, BLOCK);
    double total = identity();
    long run = from / inRun;
    long inside = from % inRun;
    int filled = 0;
    for (int done = 0; done < length; ) {
      int part = (int) Math.min(Math.min(inRun - inside, length - done), BLOCK - filled);
      long start = place + reduced.start(0, run) + inside * stride;
      Words.read(type, false, data, start, stride, part, words, 4L * filled);
      filled += part;
      done += part;
      inside += part;
      if (inside == inRun) {
        inside = 0;
        run++;
      }
      if (filled == BLOCK || done == length) {
        total = combine(total, ofRow(words, 0, filled));
        filled = 0;
      }
    }
    return total;
  }

  private double pieceInPlace(long place, long from, int length) {
    long inRun = reduced.runLength();
    double total = identity();
    long run = from / inRun;
    long inside = from % inRun;
    for (int done = 0; done < length; ) {
      int part = (int) Math.min(inRun - inside, length - done);
      long start = place + reduced.start(0, run) + inside;
      total = combine(total, ofRow(data, 4 * start, part));
      done += part;
      inside = 0;
      run++;
    }
    return total;
  }

  private double ofRow(MemorySegment x, long at, int n) {
    if (op == Reduce.SUM) {
      return RowKernels.sum(x, at, n);
    }
    if (RowKernels.anyNaN(x, at, n)) {
      return Double.NaN;
    }
    return op == Reduce.MAX ? RowKernels.max(x, at, n) : RowKernels.min(x, at, n);
  }

  private double combine(double a, double b) {
    return switch (op) {
      case SUM -> a + b;
      case MAX -> Math.max(a, b);
      case MIN -> Math.min(a, b);
    };
  }

  // ---- across

  private void across(CpuBackend b) {
    long columns = kept.runLength();
    long runs = kept.runs();
    int width = (int) Math.min(COLUMN_BLOCK, columns);
    long blocks = Math.ceilDiv(columns, width);
    long perPart = runs * blocks >= GROUP ? count : ColumnSums.rowsPerPart(count);
    int parts = (int) Math.ceilDiv(count, perPart);
    try (var work = new Workspace(b.memory())) {
      NdArray sums = parts == 1 ? null : work.allocate(DType.F32, Shape.of(runs * parts, columns));
      long units = runs * parts * blocks;
      long perTask = Math.max(1, PIECE / (perPart * width));
      b.workers()
          .parallel(
              COST * runs * columns * count,
              (int) Math.ceilDiv(units, perTask),
              task -> {
                long end = Math.min(units, (task + 1) * perTask);
                for (long unit = task * perTask; unit < end; unit++) {
                  long column = unit % blocks * width;
                  int n = (int) Math.min(width, columns - column);
                  unit(unit / blocks / parts, unit / blocks % parts, perPart, column, n, sums);
                }
              });
      if (sums != null) {
        fold(b.workers(), sums, runs, parts, columns);
      }
    }
  }

  // Rows of one part, columns of one block, of one run of results.
  private void unit(long run, long part, long perPart, long column, int n, @Nullable NdArray sums) {
    Scratch scratch = Scratch.get();
    MemorySegment total = scratch.words(Scratch.TEMPORARIES, n);
    MemorySegment group = scratch.words(Scratch.TEMPORARIES + 1, n);
    MemorySegment row = scratch.words(Scratch.TEMPORARIES + 2, n);
    long first = part * perPart;
    long end = Math.min(count, first + perPart);
    long base = kept.start(0, run) + column;
    for (long from = first; from < end; from += GROUP) {
      long groupEnd = Math.min(end, from + GROUP);
      MemorySegment sum = from == first ? total : group;
      for (long i = from; i < groupEnd; i++) {
        long place = base + reducedPlace(i);
        if (i == from) {
          Words.read(type, false, data, place, 1, n, sum, 0);
        } else if (type == DType.F32) {
          accumulate(data, 4 * place, sum, n);
        } else {
          Words.read(type, false, data, place, 1, n, row, 0);
          accumulate(row, 0, sum, n);
        }
      }
      if (from != first) {
        accumulate(group, 0, total, n);
      }
    }
    if (sums != null) {
      long rowOfSums = run * Math.ceilDiv(count, perPart) + part;
      long to = 4 * (rowOfSums * kept.runLength() + column);
      MemorySegment.copy(total, 0, HostBlock.segment(sums), to, 4L * n);
    } else {
      long stride = kept.runStride(1);
      long to = kept.start(1, run) + column * stride;
      Words.write(resultType, false, total, 0, n, result, to, stride);
    }
  }

  private long reducedPlace(long i) {
    long n = reduced.runLength();
    return reduced.start(0, i / n) + i % n * reduced.runStride(0);
  }

  // total = op(total, x)
  private void accumulate(MemorySegment x, long at, MemorySegment total, int n) {
    if (op == Reduce.SUM) {
      RowKernels.add(x, at, total, 0, n);
      return;
    }
    Binary larger = op == Reduce.MAX ? Binary.MAXIMUM : Binary.MINIMUM;
    int body = n & -Simd.LANES;
    BinaryKernels.run(larger, total, 0, x, at, total, 0, body);
    for (int i = body; i < n; i++) {
      float a = total.get(JAVA_FLOAT, 4L * i);
      float b = x.get(JAVA_FLOAT, at + 4L * i);
      total.set(JAVA_FLOAT, 4L * i, BinaryKernels.apply(larger, a, b));
    }
  }

  private void fold(Workers workers, NdArray sums, long runs, int parts, long columns) {
    MemorySegment x = HostBlock.segment(sums);
    Rows.parallel(
        workers,
        runs,
        parts * columns,
        run -> {
          MemorySegment all = x.asSlice(4 * run * parts * columns, 4 * parts * columns);
          for (int step = 1; step < parts; step *= 2) {
            for (int i = 0; i + step < parts; i += 2 * step) {
              MemorySegment total = all.asSlice(4 * i * columns, 4 * columns);
              accumulate(all, 4 * (i + step) * columns, total, Math.toIntExact(columns));
            }
          }
          long to = kept.start(1, run);
          int n = Math.toIntExact(columns);
          Words.write(resultType, false, all, 0, n, result, to, kept.runStride(1));
        });
  }

  // ---- I32

  private void ints(Workers workers, long outputs) {
    Rows.parallel(
        workers,
        outputs,
        COST * count + 8,
        output -> {
          long n = kept.runLength();
          long place = kept.start(0, output / n) + output % n * kept.runStride(0);
          int total =
              switch (op) {
                case SUM -> 0;
                case MAX -> Integer.MIN_VALUE;
                case MIN -> Integer.MAX_VALUE;
              };
          for (long i = 0; i < count; i++) {
            int x = data.get(JAVA_INT, 4 * (place + reducedPlace(i)));
            total =
                switch (op) {
                  case SUM -> total + x;
                  case MAX -> Math.max(total, x);
                  case MIN -> Math.min(total, x);
                };
          }
          long to = kept.start(1, output / n) + output % n * kept.runStride(1);
          result.set(JAVA_INT, 4 * to, total);
        });
  }
}
