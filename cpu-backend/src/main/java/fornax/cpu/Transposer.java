package fornax.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// Transposes square blocks of floats, as many rows and columns as a vector has lanes.
///
/// Eklundh's method: for each power of two `s`, rows `i` and `i + s` swap those lanes that differ
/// in bit `s`, which is one shuffle and one blend for each row. Two values of `s` are done in one
/// pass over groups of four rows, so that each pass is a small method that C2 inlines whole.
final class Transposer {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = SPECIES.length();
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  /// The widths for which there is a network below.
  static final boolean SUPPORTED = LANES == 4 || LANES == 8 || LANES == 16;

  private static final VectorShuffle<Float> SWAP_1 = swap(1);
  private static final VectorShuffle<Float> SWAP_2 = swap(2);
  private static final VectorShuffle<Float> SWAP_4 = swap(4);
  private static final VectorShuffle<Float> SWAP_8 = swap(8);
  private static final VectorMask<Float> ODD_1 = odd(1);
  private static final VectorMask<Float> ODD_2 = odd(2);
  private static final VectorMask<Float> ODD_4 = odd(4);
  private static final VectorMask<Float> ODD_8 = odd(8);

  private Transposer() {}

  private static VectorShuffle<Float> swap(int distance) {
    return VectorShuffle.fromOp(SPECIES, i -> (i ^ distance) % LANES);
  }

  private static VectorMask<Float> odd(int distance) {
    boolean[] bits = new boolean[LANES];
    for (int i = 0; i < LANES; i++) {
      bits[i] = (i & distance) != 0;
    }
    return VectorMask.fromArray(SPECIES, bits, 0);
  }

  /// The size of the array that [#transpose] uses as scratch.
  static int scratchLength() {
    return LANES * LANES;
  }

  /// Sets `y[to + k·stride + j] = x(j, k)` for all lanes `j` and `k`, where row `j` of `x` starts
  /// at byte `start + j·across`, or `start` for `j ≥ rows`.
  static void transpose(
      MemorySegment x,
      long start,
      long across,
      int rows,
      float[] scratch,
      float[] y,
      int to,
      int stride) {
    if (LANES == 4) {
      firstPass(x, start, across, rows, 0, y, to, stride);
      return;
    }
    for (int i = 0; i < LANES; i += 4) {
      firstPass(x, start, across, rows, i, scratch, i * LANES, LANES);
    }
    lastPass(scratch, y, to, stride);
  }

  /// Sets `y[to + k·stride + j] = x(j, k)` for all lanes `j` and `k`, where row `j` of `x` starts
  /// at element `start + j·across`, or `start` for `j ≥ rows`.
  static void transpose(
      float[] x, int start, int across, int rows, float[] scratch, float[] y, int to, int stride) {
    if (LANES == 4) {
      firstPass(x, start, across, rows, 0, y, to, stride);
      return;
    }
    for (int i = 0; i < LANES; i += 4) {
      firstPass(x, start, across, rows, i, scratch, i * LANES, LANES);
    }
    lastPass(scratch, y, to, stride);
  }

  private static void lastPass(float[] scratch, float[] y, int to, int stride) {
    for (int i = 0; i < 4; i++) {
      if (LANES == 8) {
        lastPass8(scratch, i * LANES, y, to + i * stride, 4 * stride);
      } else {
        lastPass16(scratch, i * LANES, y, to + i * stride, 4 * stride);
      }
    }
  }

  private static void firstPass(
      MemorySegment x, long start, long across, int rows, int i, float[] y, int to, int stride) {
    MemorySegment memory = Vectors.known(x);
    swapNeighbours(
        FloatVector.fromMemorySegment(SPECIES, memory, start + (i < rows ? i * across : 0), ORDER),
        FloatVector.fromMemorySegment(
            SPECIES, memory, start + (i + 1 < rows ? (i + 1) * across : 0), ORDER),
        FloatVector.fromMemorySegment(
            SPECIES, memory, start + (i + 2 < rows ? (i + 2) * across : 0), ORDER),
        FloatVector.fromMemorySegment(
            SPECIES, memory, start + (i + 3 < rows ? (i + 3) * across : 0), ORDER),
        y,
        to,
        stride);
  }

  private static void firstPass(
      float[] x, int start, int across, int rows, int i, float[] y, int to, int stride) {
    swapNeighbours(
        FloatVector.fromArray(SPECIES, x, start + (i < rows ? i * across : 0)),
        FloatVector.fromArray(SPECIES, x, start + (i + 1 < rows ? (i + 1) * across : 0)),
        FloatVector.fromArray(SPECIES, x, start + (i + 2 < rows ? (i + 2) * across : 0)),
        FloatVector.fromArray(SPECIES, x, start + (i + 3 < rows ? (i + 3) * across : 0)),
        y,
        to,
        stride);
  }

  /// Distances 1 and 2 on four neighbouring rows.
  private static void swapNeighbours(
      FloatVector a, FloatVector b, FloatVector c, FloatVector d, float[] y, int to, int stride) {
    FloatVector e = a.blend(b.rearrange(SWAP_1), ODD_1);
    FloatVector f = a.rearrange(SWAP_1).blend(b, ODD_1);
    FloatVector g = c.blend(d.rearrange(SWAP_1), ODD_1);
    FloatVector h = c.rearrange(SWAP_1).blend(d, ODD_1);
    e.blend(g.rearrange(SWAP_2), ODD_2).intoArray(y, to);
    f.blend(h.rearrange(SWAP_2), ODD_2).intoArray(y, to + stride);
    e.rearrange(SWAP_2).blend(g, ODD_2).intoArray(y, to + 2 * stride);
    f.rearrange(SWAP_2).blend(h, ODD_2).intoArray(y, to + 3 * stride);
  }

  /// Distance 4 on two rows of eight lanes.
  private static void lastPass8(float[] x, int from, float[] y, int to, int stride) {
    FloatVector a = FloatVector.fromArray(SPECIES, x, from);
    FloatVector b = FloatVector.fromArray(SPECIES, x, from + 4 * LANES);
    a.blend(b.rearrange(SWAP_4), ODD_4).intoArray(y, to);
    a.rearrange(SWAP_4).blend(b, ODD_4).intoArray(y, to + stride);
  }

  /// Distances 4 and 8 on four rows of sixteen lanes.
  private static void lastPass16(float[] x, int from, float[] y, int to, int stride) {
    FloatVector a = FloatVector.fromArray(SPECIES, x, from);
    FloatVector b = FloatVector.fromArray(SPECIES, x, from + 4 * LANES);
    FloatVector c = FloatVector.fromArray(SPECIES, x, from + 8 * LANES);
    FloatVector d = FloatVector.fromArray(SPECIES, x, from + 12 * LANES);
    FloatVector e = a.blend(b.rearrange(SWAP_4), ODD_4);
    FloatVector f = a.rearrange(SWAP_4).blend(b, ODD_4);
    FloatVector g = c.blend(d.rearrange(SWAP_4), ODD_4);
    FloatVector h = c.rearrange(SWAP_4).blend(d, ODD_4);
    e.blend(g.rearrange(SWAP_8), ODD_8).intoArray(y, to);
    f.blend(h.rearrange(SWAP_8), ODD_8).intoArray(y, to + stride);
    e.rearrange(SWAP_8).blend(g, ODD_8).intoArray(y, to + 2 * stride);
    f.rearrange(SWAP_8).blend(h, ODD_8).intoArray(y, to + 3 * stride);
  }
}
