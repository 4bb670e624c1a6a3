package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// Walks along an axis one element after the other: the cumulative sum and the index of the
/// largest.
final class Scan {
  private static final int COST = 4; // of an element, in multiply-adds

  private Scan() {}

  /// Sums of floats run in double precision.
  static void cumulativeSum(Workers workers, NdArray x, int axis, NdArray y) {
    int at = x.shape().axis("cumulativeSum", axis);
    if (x.elements() == 0) {
      return;
    }
    long n = x.dim(at);
    long xStep = x.layout().stride(at);
    long yStep = y.layout().stride(at);
    MemorySegment from = HostBlock.segment(x);
    MemorySegment to = HostBlock.segment(y);
    Layout xStarts = x.layout().slice(at, 0, 1);
    Layout yStarts = y.layout().slice(at, 0, 1);
    Rows.parallel(
        workers,
        x.elements() / n,
        COST * n,
        line -> {
          long source = xStarts.at(line);
          long target = yStarts.at(line);
          if (x.dtype() == DType.I32) {
            int sum = 0;
            for (long i = 0; i < n; i++) {
              sum += from.get(JAVA_INT, 4 * (source + i * xStep));
              to.set(JAVA_INT, 4 * (target + i * yStep), sum);
            }
            return;
          }
          double sum = 0;
          for (long i = 0; i < n; i++) {
            sum += Gather.get(x.dtype(), from, source + i * xStep);
            set(y.dtype(), to, target + i * yStep, (float) sum);
          }
        });
  }

  private static void set(DType type, MemorySegment y, long place, float value) {
    if (type == DType.F32) {
      y.set(JAVA_FLOAT, 4 * place, value);
    } else {
      y.set(JAVA_SHORT, 2 * place, type.toHalf(value));
    }
  }

  static void argmax(Workers workers, NdArray x, int axis, NdArray y) {
    int at = x.shape().axis("argmax", axis);
    if (x.elements() == 0) {
      return;
    }
    long n = x.dim(at);
    long step = x.layout().stride(at);
    MemorySegment from = HostBlock.segment(x);
    MemorySegment to = HostBlock.segment(y);
    Layout starts = x.layout().slice(at, 0, 1);
    DType type = x.dtype();
    Rows.parallel(
        workers,
        x.elements() / n,
        COST * n,
        line -> {
          long start = starts.at(line);
          long best =
              type == DType.I32
                  ? argmaxInts(from, start, n, step)
                  : type == DType.F32 && step == 1
                      ? argmaxRow(from, 4 * start, Math.toIntExact(n))
                      : argmaxFloats(type, from, start, n, step);
          to.set(JAVA_INT, 4 * y.layout().at(line), (int) best);
        });
  }

  // Finds the value first, then the index.
  private static int argmaxRow(MemorySegment x, long at, int n) {
    boolean nan = RowKernels.anyNaN(x, at, n);
    float max = nan ? Float.NaN : RowKernels.max(x, at, n);
    for (int i = 0; i < n; i++) {
      float value = x.get(JAVA_FLOAT, at + 4L * i);
      if (value == max || (nan && Float.isNaN(value))) {
        return i;
      }
    }
    return 0;
  }

  private static long argmaxFloats(DType type, MemorySegment x, long start, long n, long step) {
    long best = 0;
    float max = Gather.get(type, x, start);
    for (long i = 1; i < n && !Float.isNaN(max); i++) {
      float value = Gather.get(type, x, start + i * step);
      if (value > max || Float.isNaN(value)) {
        max = value;
        best = i;
      }
    }
    return best;
  }

  private static long argmaxInts(MemorySegment x, long start, long n, long step) {
    long best = 0;
    int max = x.get(JAVA_INT, 4 * start);
    for (long i = 1; i < n; i++) {
      int value = x.get(JAVA_INT, 4 * (start + i * step));
      if (value > max) {
        max = value;
        best = i;
      }
    }
    return best;
  }
}
