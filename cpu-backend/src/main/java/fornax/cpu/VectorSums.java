package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static fornax.cpu.Vectors.tail;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// Sums over elements `[from, to)` of rows, at most a block, in partial sums as [RowKernels] has
/// them. `partials` is room for those where vectors are too short to hold them.
final class VectorSums {
  private static final int PARTIALS = Rows.PARTIALS;

  private VectorSums() {}

  /// `Σ x`
  static float sum(MemorySegment x, long xo, int from, int to, MemorySegment partials) {
    for (int k = from; k < from + PARTIALS; k += 2 * LANES) {
      FloatVector s = all(0);
      FloatVector t = all(0);
      int i = k;
      for (; i <= to - 2 * LANES; i += PARTIALS) {
        s = s.add(load(x, xo + 4L * i));
        t = t.add(load(x, xo + 4L * (i + LANES)));
      }
      if (i < to) {
        s = s.add(load(x, xo + 4L * i, tail(i, to)));
        if (i + LANES < to) {
          t = t.add(load(x, xo + 4L * (i + LANES), tail(i + LANES, to)));
        }
      }
      if (2 * LANES == PARTIALS) {
        return Vectors.fold(s.add(t));
      }
      store(s, partials, 4L * (k - from));
      store(t, partials, 4L * (k - from + LANES));
    }
    return Vectors.foldSum(partials);
  }

  /// `Σ a·b`
  static float dot(
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      int from,
      int to,
      MemorySegment partials) {
    for (int k = from; k < from + PARTIALS; k += 2 * LANES) {
      FloatVector s = all(0);
      FloatVector t = all(0);
      int i = k;
      for (; i <= to - 2 * LANES; i += PARTIALS) {
        s = load(a, ao + 4L * i).fma(load(b, bo + 4L * i), s);
        t = load(a, ao + 4L * (i + LANES)).fma(load(b, bo + 4L * (i + LANES)), t);
      }
      if (i < to) {
        VectorMask<Float> mask = tail(i, to);
        s = load(a, ao + 4L * i, mask).fma(load(b, bo + 4L * i, mask), s);
        if (i + LANES < to) {
          long at = 4L * (i + LANES);
          mask = tail(i + LANES, to);
          t = load(a, ao + at, mask).fma(load(b, bo + at, mask), t);
        }
      }
      if (2 * LANES == PARTIALS) {
        return Vectors.fold(s.add(t));
      }
      store(s, partials, 4L * (k - from));
      store(t, partials, 4L * (k - from + LANES));
    }
    return Vectors.foldSum(partials);
  }
}
