package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Sorting rows, and their largest elements. An element becomes a key: its order in the upper half
/// of a long and its index in the lower, so that sorting longs is stable.
final class Sort {
  private static final int COST = 40; // of an element, in multiply-adds

  // Above this, sorting all is quicker than inserting into the best so far.
  private static final int MAX_INSERTED = 256;

  private Sort() {}

  static void sort(
      Workers workers, NdArray x, boolean descending, NdArray values, NdArray indices) {
    run(workers, x, descending, values, indices);
  }

  /// The largest of each row, largest first; as many as rows of `values` have.
  static void topK(Workers workers, NdArray x, NdArray values, NdArray indices) {
    run(workers, x, true, values, indices);
  }

  private static void run(
      Workers workers, NdArray x, boolean descending, NdArray values, NdArray indices) {
    if (x.elements() == 0 || values.elements() == 0) {
      return;
    }
    int n = Math.toIntExact(x.dim(-1));
    int k = Math.toIntExact(values.dim(-1));
    long first = x.layout().offset();
    MemorySegment from = HostBlock.segment(x);
    MemorySegment index = HostBlock.segment(indices);
    MemorySegment to = HostBlock.segment(values);
    Rows.parallel(
        workers,
        x.elements() / n,
        (long) COST * n,
        row -> {
          long place = first + row * n;
          Scratch scratch = Scratch.get();
          long[] keys = scratch.keys(n);
          if (k < n && k <= MAX_INSERTED) {
            select(x.dtype(), from, place, n, keys, k, descending);
          } else {
            for (int i = 0; i < n; i++) {
              keys[i] = key(x.dtype(), from, place + i, i, descending);
            }
            Arrays.sort(keys, 0, n);
          }
          for (int i = 0; i < k; i++) {
            int at = (int) keys[i];
            index.set(JAVA_INT, 4 * (indices.layout().offset() + row * k + i), at);
            Gather.move(
                x.dtype().bytes(), from, place + at, to, values.layout().offset() + row * k + i);
          }
        });
  }

  // The k smallest keys, in order.
  private static void select(
      DType type, MemorySegment x, long place, int n, long[] keys, int k, boolean descending) {
    Arrays.fill(keys, 0, k, Long.MAX_VALUE);
    for (int i = 0; i < n; i++) {
      long key = key(type, x, place + i, i, descending);
      if (key < keys[k - 1]) {
        int at = k - 1;
        for (; at > 0 && keys[at - 1] > key; at--) {
          keys[at] = keys[at - 1];
        }
        keys[at] = key;
      }
    }
  }

  private static long key(DType type, MemorySegment x, long place, int index, boolean descending) {
    int order = type == DType.I32 ? x.get(JAVA_INT, 4 * place) : order(Gather.get(type, x, place));
    return (long) (descending ? ~order : order) << 32 | index;
  }

  // An int in the order of floats: −0 equals 0, and NaN is the largest.
  private static int order(float x) {
    int bits = Float.floatToIntBits(x + 0f);
    return bits >= 0 ? bits : bits ^ Integer.MAX_VALUE;
  }
}
