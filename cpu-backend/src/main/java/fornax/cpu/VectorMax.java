package fornax.cpu;

import static fornax.cpu.Vectors.INTS;
import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.tail;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// The largest number of a row, see [RowKernels#max]: that of integers in the order of floats,
/// which takes one instruction where that of floats, with care of NaN and −0, takes ten.
final class VectorMax {
  private VectorMax() {}

  static float of(MemorySegment x, long xo, int n) {
    IntVector s = IntVector.broadcast(INTS, RowKernels.ORDERED_MINUS_INFINITY);
    IntVector t = s;
    int i = 0;
    for (; i <= n - 2 * LANES; i += 2 * LANES) {
      s = s.max(ordered(load(x, xo + 4L * i)));
      t = t.max(ordered(load(x, xo + 4L * (i + LANES))));
    }
    s = s.max(t);
    for (; i < n; i += LANES) {
      VectorMask<Float> mask = tail(i, n);
      FloatVector rest = load(x, xo + 4L * i, mask);
      s = s.max(ordered(all(Float.NEGATIVE_INFINITY).blend(rest, mask)));
    }
    return Float.intBitsToFloat(RowKernels.ordered(s.reduceLanes(VectorOperators.MAX)));
  }

  private static IntVector ordered(FloatVector x) {
    IntVector bits = x.reinterpretAsInts();
    return bits.lanewise(VectorOperators.ASHR, 31)
        .and(Integer.MAX_VALUE)
        .lanewise(VectorOperators.XOR, bits);
  }
}
