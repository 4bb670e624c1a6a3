package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.SPECIES;
import static fornax.cpu.Vectors.loadBFloat16;

import fornax.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/// What [MatmulVectorKernels] does with BF16 operands on the Vector API: they become floats as they
/// are packed, and a tile is rounded as it is stored. Where `b` is read in place, products are
/// added in the order of the F32 kernels.
final class MatmulBFloat16 {
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  private MatmulBFloat16() {}

  private static float get(MemorySegment x, long at) {
    return DType.fromBFloat16(x.get(SHORT, at));
  }

  // ---- packing

  /// See [MatmulKernels#packAcross]. Where a row of the panel is shorter than a vector, rows are
  /// written in order: each overwrites what the one before wrote too much.
  static void packAcross(
      float[] panel,
      int at,
      int width,
      int valid,
      int depth,
      MatmulKernels.Source source,
      long start) {
    boolean overlapping = valid == width && width < LANES;
    int whole = overlapping ? wholeVectors(depth, source, start) : 0;
    packRows(panel, at, width, whole, source.data(), start, source.along());
    for (int k = whole; k < depth; k++) {
      copy(panel, at + k * width, valid, source.data(), start + k * source.along());
    }
  }

  // The number of leading `k` at which a whole vector can be read without leaving the segment.
  private static int wholeVectors(int depth, MatmulKernels.Source source, long start) {
    long last = source.data().byteSize() - LANES * 2L - start;
    if (last < 0) {
      return 0;
    }
    return (int) Math.min(depth, source.along() <= 0 ? 1 : last / source.along() + 1);
  }

  private static void packRows(
      float[] panel, int at, int width, int depth, MemorySegment data, long start, long along) {
    for (int k = 0; k < depth; k++) {
      loadBFloat16(data, start + k * along).intoArray(panel, at + k * width);
    }
  }

  private static void copy(float[] panel, int at, int valid, MemorySegment data, long from) {
    int j = 0;
    for (; j + LANES <= valid; j += LANES) {
      loadBFloat16(data, from + j * 2L).intoArray(panel, at + j);
    }
    for (; j < valid; j++) {
      panel[at + j] = get(data, from + j * 2L);
    }
  }

  /// Widens `rows` contiguous rows of a vector's elements, `across` bytes apart, to the first rows
  /// of the square block that begins at `block[at]`.
  static void widen(MemorySegment data, long start, long across, int rows, float[] block, int at) {
    for (int j = 0; j < rows; j++) {
      loadBFloat16(data, start + j * across).intoArray(block, at + j * LANES);
    }
  }

  // ---- tiles

  /// See [MatmulKernels#storeBfloat16].
  static void store(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      storeRow(t, i * pitch, columns, y, start + i * stride);
    }
  }

  private static void storeRow(float[] t, int at, int columns, MemorySegment y, long to) {
    int j = 0;
    for (; j + LANES <= columns; j += LANES) {
      Vectors.storeBFloat16(FloatVector.fromArray(SPECIES, t, at + j), y, to + j * 2L);
    }
    for (; j < columns; j++) {
      y.set(SHORT, to + j * 2L, DType.toBFloat16(t[at + j]));
    }
  }

  /// See [MatmulKernels#loadBfloat16].
  static void load(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      loadRow(t, i * pitch, columns, y, start + i * stride);
    }
  }

  private static void loadRow(float[] t, int at, int columns, MemorySegment y, long from) {
    int j = 0;
    for (; j + LANES <= columns; j += LANES) {
      loadBFloat16(y, from + j * 2L)
          .add(FloatVector.fromArray(SPECIES, t, at + j))
          .intoArray(t, at + j);
    }
    for (; j < columns; j++) {
      t[at + j] = get(y, from + j * 2L) + t[at + j];
    }
  }

  // ---- products with a b that is read in place

  /// Four rows of `b`, from byte `b0` on and `along` apart, times a number each.
  static void axpy4(
      float a0,
      float a1,
      float a2,
      float a3,
      MemorySegment b,
      long b0,
      long along,
      int columns,
      float[] t,
      int to) {
    long b1 = b0 + along;
    long b2 = b1 + along;
    long b3 = b2 + along;
    FloatVector x0 = FloatVector.broadcast(SPECIES, a0);
    FloatVector x1 = FloatVector.broadcast(SPECIES, a1);
    FloatVector x2 = FloatVector.broadcast(SPECIES, a2);
    FloatVector x3 = FloatVector.broadcast(SPECIES, a3);
    int whole = columns / LANES * LANES;
    for (int j = 0; j < whole; j += LANES) {
      FloatVector sum = FloatVector.fromArray(SPECIES, t, to + j);
      sum = loadBFloat16(b, b0 + j * 2L).fma(x0, sum);
      sum = loadBFloat16(b, b1 + j * 2L).fma(x1, sum);
      sum = loadBFloat16(b, b2 + j * 2L).fma(x2, sum);
      sum = loadBFloat16(b, b3 + j * 2L).fma(x3, sum);
      sum.intoArray(t, to + j);
    }
    for (int j = whole; j < columns; j++) {
      float sum = Math.fma(a0, get(b, b0 + j * 2L), t[to + j]);
      sum = Math.fma(a1, get(b, b1 + j * 2L), sum);
      sum = Math.fma(a2, get(b, b2 + j * 2L), sum);
      t[to + j] = Math.fma(a3, get(b, b3 + j * 2L), sum);
    }
  }

  /// One row of `b` times a number.
  static void axpy(float a, MemorySegment b, long from, int columns, float[] t, int to) {
    for (int j = 0; j < columns; j++) {
      t[to + j] = Math.fma(a, get(b, from + j * 2L), t[to + j]);
    }
  }

  /// Partial sums `first … first + LANES` of four dot products.
  static void dot4(
      float[] a,
      int ao,
      MemorySegment b,
      long b0,
      long across,
      int first,
      int depth,
      float[] partial) {
    long b1 = b0 + across;
    long b2 = b1 + across;
    long b3 = b2 + across;
    FloatVector s0 = FloatVector.zero(SPECIES);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    for (int k = first; k < depth; k += MatmulKernels.PARTIAL_SUMS) {
      FloatVector x = FloatVector.fromArray(SPECIES, a, ao + k);
      s0 = loadBFloat16(b, b0 + k * 2L).fma(x, s0);
      s1 = loadBFloat16(b, b1 + k * 2L).fma(x, s1);
      s2 = loadBFloat16(b, b2 + k * 2L).fma(x, s2);
      s3 = loadBFloat16(b, b3 + k * 2L).fma(x, s3);
    }
    s0.intoArray(partial, first);
    s1.intoArray(partial, first + MatmulKernels.PARTIAL_SUMS);
    s2.intoArray(partial, first + 2 * MatmulKernels.PARTIAL_SUMS);
    s3.intoArray(partial, first + 3 * MatmulKernels.PARTIAL_SUMS);
  }

  /// Partial sums `first … first + LANES` of one dot product.
  static void dot1(
      float[] a, int ao, MemorySegment b, long from, int first, int depth, float[] partial) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int k = first; k < depth; k += MatmulKernels.PARTIAL_SUMS) {
      sum = loadBFloat16(b, from + k * 2L).fma(FloatVector.fromArray(SPECIES, a, ao + k), sum);
    }
    sum.intoArray(partial, first);
  }
}
