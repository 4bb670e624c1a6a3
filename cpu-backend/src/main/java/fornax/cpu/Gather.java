package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Loops;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// Reading and adding by index along an axis. Both walk over the other axes in runs; where all
/// elements of a run have one index, as in embeddings, they move whole runs.
final class Gather {
  private static final int COST = 4;

  private Gather() {}

  static void gather(Workers workers, NdArray x, int axis, NdArray indices, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    int at = y.shape().axis("gather", axis);
    Loops loops = Loops.of(y.layout(), indices.layout(), without(x.layout(), at, y.layout()));
    long size = x.dim(at);
    long step = x.layout().stride(at);
    long n = loops.runLength();
    int bytes = x.dtype().bytes();
    MemorySegment from = HostBlock.segment(x);
    MemorySegment index = HostBlock.segment(indices);
    MemorySegment to = HostBlock.segment(y);
    boolean whole = loops.runStride(1) == 0 && loops.runStride(0) == 1 && loops.runStride(2) == 1;
    long perTask = Math.max(1, 8192 / n);
    workers.parallel(
        COST * y.elements(),
        (int) Math.ceilDiv(loops.runs(), perTask),
        task -> {
          long end = Math.min(loops.runs(), (task + 1) * perTask);
          for (long run = task * perTask; run < end; run++) {
            long target = loops.start(0, run);
            long place = loops.start(1, run);
            long source = loops.start(2, run);
            if (whole) {
              long i = checked("gather", index, place, size, run * n);
              MemorySegment.copy(from, (source + i * step) * bytes, to, target * bytes, n * bytes);
            } else {
              for (long j = 0; j < n; j++) {
                long i =
                    checked("gather", index, place + j * loops.runStride(1), size, run * n + j);
                move(
                    bytes,
                    from,
                    source + j * loops.runStride(2) + i * step,
                    to,
                    target + j * loops.runStride(0));
              }
            }
          }
        });
  }

  /// @param y F32
  static void scatterAdd(Workers workers, NdArray x, int axis, NdArray indices, NdArray y) {
    if (x.elements() == 0) {
      return;
    }
    int at = x.shape().axis("scatterAdd", axis);
    long count = x.dim(at);
    Layout others = x.layout().slice(at, 0, 1);
    Loops loops =
        Loops.of(others, indices.layout().slice(at, 0, 1), without(y.layout(), at, others));
    long n = loops.runLength();
    // Tasks own columns of runs; within one, indices come in rising order.
    long width = Math.max(64, Math.ceilDiv(Math.ceilDiv(n, workers.threads()), 16) * 16);
    long blocks = Math.ceilDiv(n, width);
    var scatter = new Scatter(x, indices, y, at, loops, count);
    long perTask = Math.max(1, 8192 / (count * Math.min(n, width)));
    long units = loops.runs() * blocks;
    workers.parallel(
        COST * x.elements(),
        (int) Math.ceilDiv(units, perTask),
        task -> {
          long end = Math.min(units, (task + 1) * perTask);
          for (long unit = task * perTask; unit < end; unit++) {
            long from = unit % blocks * width;
            scatter.run(unit / blocks, from, (int) Math.min(width, n - from));
          }
        });
  }

  private static final class Scatter {
    private final MemorySegment from;
    private final MemorySegment index;
    private final MemorySegment to;
    private final DType fromType;
    private final Loops loops;
    private final long count;
    private final long size;
    private final long fromStep;
    private final long indexStep;
    private final long toStep;
    private final boolean whole;

    Scatter(NdArray x, NdArray indices, NdArray y, int axis, Loops loops, long count) {
      this.from = HostBlock.segment(x);
      this.index = HostBlock.segment(indices);
      this.to = HostBlock.segment(y);
      this.fromType = x.dtype();
      this.loops = loops;
      this.count = count;
      this.size = y.dim(axis);
      this.fromStep = x.layout().stride(axis);
      this.indexStep = indices.layout().stride(axis);
      this.toStep = y.layout().stride(axis);
      this.whole =
          loops.runStride(0) == 1
              && loops.runStride(1) == 0
              && loops.runStride(2) == 1
              && fromType == DType.F32;
    }

    void run(long run, long first, int n) {
      long source = loops.start(0, run) + first * loops.runStride(0);
      long place = loops.start(1, run) + first * loops.runStride(1);
      long target = loops.start(2, run) + first * loops.runStride(2);
      for (long i = 0; i < count; i++) {
        long row = source + i * fromStep;
        long indexRow = place + i * indexStep;
        if (whole) {
          long to1 = target + checked("scatterAdd", index, indexRow, size, i) * toStep;
          RowKernels.add(from, 4 * row, to, 4 * to1, n);
          continue;
        }
        for (long j = 0; j < n; j++) {
          long k = checked("scatterAdd", index, indexRow + j * loops.runStride(1), size, i);
          add(row + j * loops.runStride(0), target + j * loops.runStride(2) + k * toStep);
        }
      }
    }

    private void add(long source, long target) {
      float sum = to.get(JAVA_FLOAT, 4 * target) + get(fromType, from, source);
      to.set(JAVA_FLOAT, 4 * target, sum);
    }
  }

  // The layout `x` without its axis `axis`, over the shape of `like`.
  private static Layout without(Layout x, int axis, Layout like) {
    long[] strides = x.strides();
    strides[axis] = 0;
    return Layout.of(like.shape(), strides, x.offset());
  }

  /// The index at `place`, which must be below `size`.
  static long checked(String op, MemorySegment indices, long place, long size, long position) {
    int index = indices.get(JAVA_INT, 4 * place);
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException(
          op
              + ": index outside the axis; got "
              + index
              + " at place "
              + position
              + "; need 0 <= index < "
              + size);
    }
    return index;
  }

  /// An F32, BF16 or F16 element.
  static float get(DType type, MemorySegment x, long place) {
    return type == DType.F32
        ? x.get(JAVA_FLOAT, 4 * place)
        : type.fromHalf(x.get(JAVA_SHORT, 2 * place));
  }

  /// Moves one element of `bytes` bytes.
  static void move(int bytes, MemorySegment from, long source, MemorySegment to, long target) {
    switch (bytes) {
      case 1 -> to.set(JAVA_BYTE, target, from.get(JAVA_BYTE, source));
      case 2 -> to.set(JAVA_SHORT, 2 * target, from.get(JAVA_SHORT, 2 * source));
      case 4 -> to.set(JAVA_INT, 4 * target, from.get(JAVA_INT, 4 * source));
      default -> to.set(JAVA_LONG, 8 * target, from.get(JAVA_LONG, 8 * source));
    }
  }
}
