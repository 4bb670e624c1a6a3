package fornax.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/// The kernels of [Matmul] on the Vector API.
///
/// A tile is two vectors wide; its height is as large as the registers allow: 24 accumulators of
/// the 32 registers of AVX-512, 12 of the 16 of narrower x86 vectors. Each microkernel is a small
/// method of its own: in a larger one C2 runs out of its inlining budget
/// (`NodeCountInliningCutoff`) and boxes every vector.
final class MatmulVectorKernels extends MatmulKernels {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = SPECIES.length();
  private static final int PITCH = 2 * LANES;

  /// Dot products at a time.
  private static final int DOTS = 8;

  private static final boolean TALL = LANES >= 16;
  private static final int ROWS = TALL ? 12 : 6;
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private static final ThreadLocal<float[]> SCRATCH =
      ThreadLocal.withInitial(
          () -> new float[Math.max(3 * Transposer.scratchLength(), DOTS * PARTIAL_SUMS)]);

  @Override
  int tileRows() {
    return ROWS;
  }

  @Override
  int tileColumns() {
    return PITCH;
  }

  @Override
  int panelRows(int remaining) {
    if (TALL) {
      return remaining > 8 ? 12 : remaining > 4 ? 8 : 4;
    }
    return remaining > 4 ? 6 : 4;
  }

  @Override
  int panelColumns(int remaining) {
    return remaining > LANES ? PITCH : LANES;
  }

  @Override
  void packAcross(
      float[] panel, int at, int width, int valid, int depth, Source source, long start) {
    if (source.bfloat16()) {
      MatmulBFloat16.packAcross(panel, at, width, valid, depth, source, start);
    } else if (width == PITCH && valid == PITCH) {
      packTwoVectors(panel, at, depth, source.data(), start, source.along());
    } else {
      boolean overlapping = width == ROWS && valid == ROWS && ROWS < LANES;
      int whole = overlapping ? wholeVectors(depth, source, start) : 0;
      packRows(panel, at, whole, source.data(), start, source.along());
      for (int k = whole; k < depth; k++) {
        copy(panel, at + k * width, valid, source.data(), start + k * source.along());
      }
    }
  }

  @Override
  void packAlong(
      float[] panel, int at, int width, int valid, int depth, Source source, long start) {
    if (source.along() != source.elementBytes() || !Transposer.SUPPORTED) {
      super.packAlong(panel, at, width, valid, depth, source, start);
      return;
    }
    float[] scratch = SCRATCH.get();
    int j = 0;
    int blocks = depth / LANES * LANES;
    if (valid == ROWS && width == ROWS && ROWS < LANES) {
      for (int k = 0; k < blocks; k += LANES) {
        transposeRows(
            panel, at + k * ROWS, source, start + (long) k * source.elementBytes(), scratch);
      }
      j = ROWS;
    } else {
      for (; j + LANES <= valid; j += LANES) {
        for (int k = 0; k < blocks; k += LANES) {
          long from = start + j * source.across() + (long) k * source.elementBytes();
          transpose(source, from, LANES, scratch, panel, at + k * width + j, width);
        }
      }
    }
    packRest(panel, at, width, j, blocks, valid, depth, source, start);
  }

  /// Packs rows 0 to `done` from `k = blocks` on, and the other rows whole.
  private static void packRest(
      float[] panel,
      int at,
      int width,
      int done,
      int blocks,
      int valid,
      int depth,
      Source source,
      long start) {
    for (int j = 0; j < valid; j++) {
      long from = start + j * source.across();
      for (int k = j < done ? blocks : 0; k < depth; k++) {
        panel[at + k * width + j] = source.get(from + (long) k * source.elementBytes());
      }
    }
  }

  /// Transposes a block of `rows` rows to `y`, `stride` apart. The first block of scratch is for
  /// the transposition, the second may be `y`, the third takes the widened rows.
  private static void transpose(
      Source source, long from, int rows, float[] scratch, float[] y, int to, int stride) {
    if (source.bfloat16()) {
      int block = 2 * LANES * LANES;
      MatmulBFloat16.widen(source.data(), from, source.across(), rows, scratch, block);
      Transposer.transpose(scratch, block, LANES, rows, scratch, y, to, stride);
    } else {
      Transposer.transpose(source.data(), from, source.across(), rows, scratch, y, to, stride);
    }
  }

  /// Transposes a block of [#ROWS] rows, fewer than the lanes. Whole vectors are stored, so rows go
  /// out in order: each overwrites what the one before wrote too much.
  private static void transposeRows(
      float[] panel, int at, Source source, long from, float[] scratch) {
    transpose(source, from, ROWS, scratch, scratch, LANES * LANES, LANES);
    for (int k = 0; k < LANES; k++) {
      FloatVector.fromArray(SPECIES, scratch, (LANES + k) * LANES).intoArray(panel, at + k * ROWS);
    }
  }

  /// The number of leading `k` at which a whole vector can be read without leaving the segment.
  private static int wholeVectors(int depth, Source source, long start) {
    long last = source.data().byteSize() - LANES * 4L - start;
    if (last < 0) {
      return 0;
    }
    return (int) Math.min(depth, source.along() <= 0 ? 1 : last / source.along() + 1);
  }

  /// Packs [#ROWS] contiguous numbers for each `k` with whole vectors, in order: each overwrites
  /// what the one before wrote too much.
  private static void packRows(
      float[] panel, int at, int depth, MemorySegment data, long start, long along) {
    MemorySegment memory = Vectors.known(data);
    for (int k = 0; k < depth; k++) {
      FloatVector.fromMemorySegment(SPECIES, memory, start + k * along, ORDER)
          .intoArray(panel, at + k * ROWS);
    }
  }

  @Override
  void transpose(
      float[] x, int from, int strideX, int rows, int columns, float[] y, int to, int strideY) {
    if (!Transposer.SUPPORTED) {
      super.transpose(x, from, strideX, rows, columns, y, to, strideY);
      return;
    }
    float[] scratch = SCRATCH.get();
    int wholeColumns = columns / LANES * LANES;
    int i = 0;
    if (rows == ROWS && strideY == ROWS && ROWS < LANES) {
      for (int j = 0; j < wholeColumns; j += LANES) {
        Transposer.transpose(x, from + j, strideX, ROWS, scratch, scratch, LANES * LANES, LANES);
        for (int k = 0; k < LANES; k++) {
          FloatVector.fromArray(SPECIES, scratch, (LANES + k) * LANES)
              .intoArray(y, to + (j + k) * ROWS);
        }
      }
      i = ROWS;
    } else {
      for (; i + LANES <= rows; i += LANES) {
        for (int j = 0; j < wholeColumns; j += LANES) {
          Transposer.transpose(
              x, from + i * strideX + j, strideX, LANES, scratch, y, to + j * strideY + i, strideY);
        }
      }
    }
    transposeRest(x, from, strideX, i, rows, wholeColumns, columns, y, to, strideY);
  }

  private static void transposeRest(
      float[] x,
      int from,
      int strideX,
      int done,
      int rows,
      int wholeColumns,
      int columns,
      float[] y,
      int to,
      int strideY) {
    for (int i = 0; i < rows; i++) {
      for (int j = i < done ? wholeColumns : 0; j < columns; j++) {
        y[to + j * strideY + i] = x[from + i * strideX + j];
      }
    }
  }

  private static void packTwoVectors(
      float[] panel, int at, int depth, MemorySegment data, long start, long along) {
    MemorySegment memory = Vectors.known(data);
    for (int k = 0; k < depth; k++) {
      long from = start + k * along;
      FloatVector.fromMemorySegment(SPECIES, memory, from, ORDER).intoArray(panel, at + k * PITCH);
      FloatVector.fromMemorySegment(SPECIES, memory, from + LANES * 4L, ORDER)
          .intoArray(panel, at + k * PITCH + LANES);
    }
  }

  private static void copy(float[] panel, int at, int valid, MemorySegment data, long from) {
    MemorySegment memory = Vectors.known(data);
    int j = 0;
    for (; j + LANES <= valid; j += LANES) {
      FloatVector.fromMemorySegment(SPECIES, memory, from + j * 4L, ORDER).intoArray(panel, at + j);
    }
    for (; j < valid; j++) {
      panel[at + j] = data.get(FLOAT, from + j * 4L);
    }
  }

  @Override
  void multiply(
      float[] a, int ao, int rows, float[] b, int bo, int columns, int depth, float[] t, int to) {
    if (columns == PITCH) {
      switch (rows) {
        case 12 -> kernel12x2(a, ao, b, bo, depth, t, to);
        case 8 -> kernel8x2(a, ao, b, bo, depth, t, to);
        case 6 -> kernel6x2(a, ao, b, bo, depth, t, to);
        default -> kernel4x2(a, ao, b, bo, depth, t, to);
      }
    } else {
      switch (rows) {
        case 12 -> kernel12x1(a, ao, b, bo, depth, t, to);
        case 8 -> kernel8x1(a, ao, b, bo, depth, t, to);
        case 6 -> kernel6x1(a, ao, b, bo, depth, t, to);
        default -> kernel4x1(a, ao, b, bo, depth, t, to);
      }
    }
  }

  private static void kernel12x2(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0l = zero;
    FloatVector c0r = zero;
    FloatVector c1l = zero;
    FloatVector c1r = zero;
    FloatVector c2l = zero;
    FloatVector c2r = zero;
    FloatVector c3l = zero;
    FloatVector c3r = zero;
    FloatVector c4l = zero;
    FloatVector c4r = zero;
    FloatVector c5l = zero;
    FloatVector c5r = zero;
    FloatVector c6l = zero;
    FloatVector c6r = zero;
    FloatVector c7l = zero;
    FloatVector c7r = zero;
    FloatVector c8l = zero;
    FloatVector c8r = zero;
    FloatVector c9l = zero;
    FloatVector c9r = zero;
    FloatVector c10l = zero;
    FloatVector c10r = zero;
    FloatVector c11l = zero;
    FloatVector c11r = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES);
      FloatVector r = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES + LANES);
      FloatVector x0 = FloatVector.broadcast(SPECIES, a[ao + k * 12]);
      c0l = x0.fma(l, c0l);
      c0r = x0.fma(r, c0r);
      FloatVector x1 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 1]);
      c1l = x1.fma(l, c1l);
      c1r = x1.fma(r, c1r);
      FloatVector x2 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 2]);
      c2l = x2.fma(l, c2l);
      c2r = x2.fma(r, c2r);
      FloatVector x3 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 3]);
      c3l = x3.fma(l, c3l);
      c3r = x3.fma(r, c3r);
      FloatVector x4 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 4]);
      c4l = x4.fma(l, c4l);
      c4r = x4.fma(r, c4r);
      FloatVector x5 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 5]);
      c5l = x5.fma(l, c5l);
      c5r = x5.fma(r, c5r);
      FloatVector x6 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 6]);
      c6l = x6.fma(l, c6l);
      c6r = x6.fma(r, c6r);
      FloatVector x7 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 7]);
      c7l = x7.fma(l, c7l);
      c7r = x7.fma(r, c7r);
      FloatVector x8 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 8]);
      c8l = x8.fma(l, c8l);
      c8r = x8.fma(r, c8r);
      FloatVector x9 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 9]);
      c9l = x9.fma(l, c9l);
      c9r = x9.fma(r, c9r);
      FloatVector x10 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 10]);
      c10l = x10.fma(l, c10l);
      c10r = x10.fma(r, c10r);
      FloatVector x11 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 11]);
      c11l = x11.fma(l, c11l);
      c11r = x11.fma(r, c11r);
    }
    c0l.intoArray(t, to);
    c0r.intoArray(t, to + LANES);
    c1l.intoArray(t, to + PITCH);
    c1r.intoArray(t, to + PITCH + LANES);
    c2l.intoArray(t, to + 2 * PITCH);
    c2r.intoArray(t, to + 2 * PITCH + LANES);
    c3l.intoArray(t, to + 3 * PITCH);
    c3r.intoArray(t, to + 3 * PITCH + LANES);
    c4l.intoArray(t, to + 4 * PITCH);
    c4r.intoArray(t, to + 4 * PITCH + LANES);
    c5l.intoArray(t, to + 5 * PITCH);
    c5r.intoArray(t, to + 5 * PITCH + LANES);
    c6l.intoArray(t, to + 6 * PITCH);
    c6r.intoArray(t, to + 6 * PITCH + LANES);
    c7l.intoArray(t, to + 7 * PITCH);
    c7r.intoArray(t, to + 7 * PITCH + LANES);
    c8l.intoArray(t, to + 8 * PITCH);
    c8r.intoArray(t, to + 8 * PITCH + LANES);
    c9l.intoArray(t, to + 9 * PITCH);
    c9r.intoArray(t, to + 9 * PITCH + LANES);
    c10l.intoArray(t, to + 10 * PITCH);
    c10r.intoArray(t, to + 10 * PITCH + LANES);
    c11l.intoArray(t, to + 11 * PITCH);
    c11r.intoArray(t, to + 11 * PITCH + LANES);
  }

  private static void kernel12x1(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0 = zero;
    FloatVector c1 = zero;
    FloatVector c2 = zero;
    FloatVector c3 = zero;
    FloatVector c4 = zero;
    FloatVector c5 = zero;
    FloatVector c6 = zero;
    FloatVector c7 = zero;
    FloatVector c8 = zero;
    FloatVector c9 = zero;
    FloatVector c10 = zero;
    FloatVector c11 = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * LANES);
      c0 = FloatVector.broadcast(SPECIES, a[ao + k * 12]).fma(l, c0);
      c1 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 1]).fma(l, c1);
      c2 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 2]).fma(l, c2);
      c3 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 3]).fma(l, c3);
      c4 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 4]).fma(l, c4);
      c5 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 5]).fma(l, c5);
      c6 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 6]).fma(l, c6);
      c7 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 7]).fma(l, c7);
      c8 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 8]).fma(l, c8);
      c9 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 9]).fma(l, c9);
      c10 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 10]).fma(l, c10);
      c11 = FloatVector.broadcast(SPECIES, a[ao + k * 12 + 11]).fma(l, c11);
    }
    c0.intoArray(t, to);
    c1.intoArray(t, to + PITCH);
    c2.intoArray(t, to + 2 * PITCH);
    c3.intoArray(t, to + 3 * PITCH);
    c4.intoArray(t, to + 4 * PITCH);
    c5.intoArray(t, to + 5 * PITCH);
    c6.intoArray(t, to + 6 * PITCH);
    c7.intoArray(t, to + 7 * PITCH);
    c8.intoArray(t, to + 8 * PITCH);
    c9.intoArray(t, to + 9 * PITCH);
    c10.intoArray(t, to + 10 * PITCH);
    c11.intoArray(t, to + 11 * PITCH);
  }

  private static void kernel8x2(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0l = zero;
    FloatVector c0r = zero;
    FloatVector c1l = zero;
    FloatVector c1r = zero;
    FloatVector c2l = zero;
    FloatVector c2r = zero;
    FloatVector c3l = zero;
    FloatVector c3r = zero;
    FloatVector c4l = zero;
    FloatVector c4r = zero;
    FloatVector c5l = zero;
    FloatVector c5r = zero;
    FloatVector c6l = zero;
    FloatVector c6r = zero;
    FloatVector c7l = zero;
    FloatVector c7r = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES);
      FloatVector r = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES + LANES);
      FloatVector x0 = FloatVector.broadcast(SPECIES, a[ao + k * 8]);
      c0l = x0.fma(l, c0l);
      c0r = x0.fma(r, c0r);
      FloatVector x1 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 1]);
      c1l = x1.fma(l, c1l);
      c1r = x1.fma(r, c1r);
      FloatVector x2 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 2]);
      c2l = x2.fma(l, c2l);
      c2r = x2.fma(r, c2r);
      FloatVector x3 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 3]);
      c3l = x3.fma(l, c3l);
      c3r = x3.fma(r, c3r);
      FloatVector x4 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 4]);
      c4l = x4.fma(l, c4l);
      c4r = x4.fma(r, c4r);
      FloatVector x5 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 5]);
      c5l = x5.fma(l, c5l);
      c5r = x5.fma(r, c5r);
      FloatVector x6 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 6]);
      c6l = x6.fma(l, c6l);
      c6r = x6.fma(r, c6r);
      FloatVector x7 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 7]);
      c7l = x7.fma(l, c7l);
      c7r = x7.fma(r, c7r);
    }
    c0l.intoArray(t, to);
    c0r.intoArray(t, to + LANES);
    c1l.intoArray(t, to + PITCH);
    c1r.intoArray(t, to + PITCH + LANES);
    c2l.intoArray(t, to + 2 * PITCH);
    c2r.intoArray(t, to + 2 * PITCH + LANES);
    c3l.intoArray(t, to + 3 * PITCH);
    c3r.intoArray(t, to + 3 * PITCH + LANES);
    c4l.intoArray(t, to + 4 * PITCH);
    c4r.intoArray(t, to + 4 * PITCH + LANES);
    c5l.intoArray(t, to + 5 * PITCH);
    c5r.intoArray(t, to + 5 * PITCH + LANES);
    c6l.intoArray(t, to + 6 * PITCH);
    c6r.intoArray(t, to + 6 * PITCH + LANES);
    c7l.intoArray(t, to + 7 * PITCH);
    c7r.intoArray(t, to + 7 * PITCH + LANES);
  }

  private static void kernel8x1(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0 = zero;
    FloatVector c1 = zero;
    FloatVector c2 = zero;
    FloatVector c3 = zero;
    FloatVector c4 = zero;
    FloatVector c5 = zero;
    FloatVector c6 = zero;
    FloatVector c7 = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * LANES);
      c0 = FloatVector.broadcast(SPECIES, a[ao + k * 8]).fma(l, c0);
      c1 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 1]).fma(l, c1);
      c2 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 2]).fma(l, c2);
      c3 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 3]).fma(l, c3);
      c4 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 4]).fma(l, c4);
      c5 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 5]).fma(l, c5);
      c6 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 6]).fma(l, c6);
      c7 = FloatVector.broadcast(SPECIES, a[ao + k * 8 + 7]).fma(l, c7);
    }
    c0.intoArray(t, to);
    c1.intoArray(t, to + PITCH);
    c2.intoArray(t, to + 2 * PITCH);
    c3.intoArray(t, to + 3 * PITCH);
    c4.intoArray(t, to + 4 * PITCH);
    c5.intoArray(t, to + 5 * PITCH);
    c6.intoArray(t, to + 6 * PITCH);
    c7.intoArray(t, to + 7 * PITCH);
  }

  private static void kernel6x2(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0l = zero;
    FloatVector c0r = zero;
    FloatVector c1l = zero;
    FloatVector c1r = zero;
    FloatVector c2l = zero;
    FloatVector c2r = zero;
    FloatVector c3l = zero;
    FloatVector c3r = zero;
    FloatVector c4l = zero;
    FloatVector c4r = zero;
    FloatVector c5l = zero;
    FloatVector c5r = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES);
      FloatVector r = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES + LANES);
      FloatVector x0 = FloatVector.broadcast(SPECIES, a[ao + k * 6]);
      c0l = x0.fma(l, c0l);
      c0r = x0.fma(r, c0r);
      FloatVector x1 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 1]);
      c1l = x1.fma(l, c1l);
      c1r = x1.fma(r, c1r);
      FloatVector x2 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 2]);
      c2l = x2.fma(l, c2l);
      c2r = x2.fma(r, c2r);
      FloatVector x3 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 3]);
      c3l = x3.fma(l, c3l);
      c3r = x3.fma(r, c3r);
      FloatVector x4 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 4]);
      c4l = x4.fma(l, c4l);
      c4r = x4.fma(r, c4r);
      FloatVector x5 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 5]);
      c5l = x5.fma(l, c5l);
      c5r = x5.fma(r, c5r);
    }
    c0l.intoArray(t, to);
    c0r.intoArray(t, to + LANES);
    c1l.intoArray(t, to + PITCH);
    c1r.intoArray(t, to + PITCH + LANES);
    c2l.intoArray(t, to + 2 * PITCH);
    c2r.intoArray(t, to + 2 * PITCH + LANES);
    c3l.intoArray(t, to + 3 * PITCH);
    c3r.intoArray(t, to + 3 * PITCH + LANES);
    c4l.intoArray(t, to + 4 * PITCH);
    c4r.intoArray(t, to + 4 * PITCH + LANES);
    c5l.intoArray(t, to + 5 * PITCH);
    c5r.intoArray(t, to + 5 * PITCH + LANES);
  }

  private static void kernel6x1(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0 = zero;
    FloatVector c1 = zero;
    FloatVector c2 = zero;
    FloatVector c3 = zero;
    FloatVector c4 = zero;
    FloatVector c5 = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * LANES);
      c0 = FloatVector.broadcast(SPECIES, a[ao + k * 6]).fma(l, c0);
      c1 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 1]).fma(l, c1);
      c2 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 2]).fma(l, c2);
      c3 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 3]).fma(l, c3);
      c4 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 4]).fma(l, c4);
      c5 = FloatVector.broadcast(SPECIES, a[ao + k * 6 + 5]).fma(l, c5);
    }
    c0.intoArray(t, to);
    c1.intoArray(t, to + PITCH);
    c2.intoArray(t, to + 2 * PITCH);
    c3.intoArray(t, to + 3 * PITCH);
    c4.intoArray(t, to + 4 * PITCH);
    c5.intoArray(t, to + 5 * PITCH);
  }

  private static void kernel4x2(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0l = zero;
    FloatVector c0r = zero;
    FloatVector c1l = zero;
    FloatVector c1r = zero;
    FloatVector c2l = zero;
    FloatVector c2r = zero;
    FloatVector c3l = zero;
    FloatVector c3r = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES);
      FloatVector r = FloatVector.fromArray(SPECIES, b, bo + k * 2 * LANES + LANES);
      FloatVector x0 = FloatVector.broadcast(SPECIES, a[ao + k * 4]);
      c0l = x0.fma(l, c0l);
      c0r = x0.fma(r, c0r);
      FloatVector x1 = FloatVector.broadcast(SPECIES, a[ao + k * 4 + 1]);
      c1l = x1.fma(l, c1l);
      c1r = x1.fma(r, c1r);
      FloatVector x2 = FloatVector.broadcast(SPECIES, a[ao + k * 4 + 2]);
      c2l = x2.fma(l, c2l);
      c2r = x2.fma(r, c2r);
      FloatVector x3 = FloatVector.broadcast(SPECIES, a[ao + k * 4 + 3]);
      c3l = x3.fma(l, c3l);
      c3r = x3.fma(r, c3r);
    }
    c0l.intoArray(t, to);
    c0r.intoArray(t, to + LANES);
    c1l.intoArray(t, to + PITCH);
    c1r.intoArray(t, to + PITCH + LANES);
    c2l.intoArray(t, to + 2 * PITCH);
    c2r.intoArray(t, to + 2 * PITCH + LANES);
    c3l.intoArray(t, to + 3 * PITCH);
    c3r.intoArray(t, to + 3 * PITCH + LANES);
  }

  private static void kernel4x1(
      float[] a, int ao, float[] b, int bo, int depth, float[] t, int to) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector c0 = zero;
    FloatVector c1 = zero;
    FloatVector c2 = zero;
    FloatVector c3 = zero;
    for (int k = 0; k < depth; k++) {
      FloatVector l = FloatVector.fromArray(SPECIES, b, bo + k * LANES);
      c0 = FloatVector.broadcast(SPECIES, a[ao + k * 4]).fma(l, c0);
      c1 = FloatVector.broadcast(SPECIES, a[ao + k * 4 + 1]).fma(l, c1);
      c2 = FloatVector.broadcast(SPECIES, a[ao + k * 4 + 2]).fma(l, c2);
      c3 = FloatVector.broadcast(SPECIES, a[ao + k * 4 + 3]).fma(l, c3);
    }
    c0.intoArray(t, to);
    c1.intoArray(t, to + PITCH);
    c2.intoArray(t, to + 2 * PITCH);
    c3.intoArray(t, to + 3 * PITCH);
  }

  @Override
  void multiplyUnpacked(
      float[] a, int rows, Source b, long start, int columns, int depth, float[] t, int pitch) {
    for (int i = 0; i < rows; i++) {
      Arrays.fill(t, i * pitch, i * pitch + columns, 0f);
    }
    int k = 0;
    for (; rows == 1 && !b.bfloat16() && k + 8 <= depth; k += 8) {
      axpy8(a, k, b.data(), start + k * b.along(), b.along(), columns, t);
    }
    for (; k + 4 <= depth; k += 4) {
      long from = start + k * b.along();
      for (int i = 0; i < rows; i++) {
        int x = k * rows + i;
        if (b.bfloat16()) {
          MatmulBFloat16.axpy4(
              a[x],
              a[x + rows],
              a[x + 2 * rows],
              a[x + 3 * rows],
              b.data(),
              from,
              b.along(),
              columns,
              t,
              i * pitch);
        } else {
          axpy4(
              a[x],
              a[x + rows],
              a[x + 2 * rows],
              a[x + 3 * rows],
              b.data(),
              from,
              b.along(),
              columns,
              t,
              i * pitch);
        }
      }
    }
    for (; k < depth; k++) {
      long from = start + k * b.along();
      for (int i = 0; i < rows; i++) {
        if (b.bfloat16()) {
          MatmulBFloat16.axpy(a[k * rows + i], b.data(), from, columns, t, i * pitch);
        } else {
          axpy(a[k * rows + i], b.data(), from, columns, t, i * pitch);
        }
      }
    }
  }

  private static void axpy4(
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
    MemorySegment memory = Vectors.known(b);
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
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b0 + j * 4L, ORDER).fma(x0, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b1 + j * 4L, ORDER).fma(x1, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b2 + j * 4L, ORDER).fma(x2, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b3 + j * 4L, ORDER).fma(x3, sum);
      sum.intoArray(t, to + j);
    }
    for (int j = whole; j < columns; j++) {
      float sum = Math.fma(a0, b.get(FLOAT, b0 + j * 4L), t[to + j]);
      sum = Math.fma(a1, b.get(FLOAT, b1 + j * 4L), sum);
      sum = Math.fma(a2, b.get(FLOAT, b2 + j * 4L), sum);
      t[to + j] = Math.fma(a3, b.get(FLOAT, b3 + j * 4L), sum);
    }
  }

  /// Eight rows of `b`, from byte `first` on and `along` apart, times the numbers from `a[at]` on.
  private static void axpy8(
      float[] a, int at, MemorySegment b, long first, long along, int columns, float[] t) {
    MemorySegment memory = Vectors.known(b);
    long b0 = first;
    long b1 = b0 + along;
    long b2 = b1 + along;
    long b3 = b2 + along;
    long b4 = b3 + along;
    long b5 = b4 + along;
    long b6 = b5 + along;
    long b7 = b6 + along;
    FloatVector x0 = FloatVector.broadcast(SPECIES, a[at]);
    FloatVector x1 = FloatVector.broadcast(SPECIES, a[at + 1]);
    FloatVector x2 = FloatVector.broadcast(SPECIES, a[at + 2]);
    FloatVector x3 = FloatVector.broadcast(SPECIES, a[at + 3]);
    FloatVector x4 = FloatVector.broadcast(SPECIES, a[at + 4]);
    FloatVector x5 = FloatVector.broadcast(SPECIES, a[at + 5]);
    FloatVector x6 = FloatVector.broadcast(SPECIES, a[at + 6]);
    FloatVector x7 = FloatVector.broadcast(SPECIES, a[at + 7]);
    int whole = columns / LANES * LANES;
    for (int j = 0; j < whole; j += LANES) {
      FloatVector sum = FloatVector.fromArray(SPECIES, t, j);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b0 + j * 4L, ORDER).fma(x0, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b1 + j * 4L, ORDER).fma(x1, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b2 + j * 4L, ORDER).fma(x2, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b3 + j * 4L, ORDER).fma(x3, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b4 + j * 4L, ORDER).fma(x4, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b5 + j * 4L, ORDER).fma(x5, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b6 + j * 4L, ORDER).fma(x6, sum);
      sum = FloatVector.fromMemorySegment(SPECIES, memory, b7 + j * 4L, ORDER).fma(x7, sum);
      sum.intoArray(t, j);
    }
    for (int j = whole; j < columns; j++) {
      float sum = t[j];
      for (int k = 0; k < 8; k++) {
        sum = Math.fma(a[at + k], b.get(FLOAT, first + k * along + j * 4L), sum);
      }
      t[j] = sum;
    }
  }

  private static void axpy(float a, MemorySegment b, long from, int columns, float[] t, int to) {
    for (int j = 0; j < columns; j++) {
      t[to + j] = Math.fma(a, b.get(FLOAT, from + j * 4L), t[to + j]);
    }
  }

  @Override
  void dot(
      float[] a, int rows, Source b, long start, int columns, int depth, float[] t, int pitch) {
    float[] partial = SCRATCH.get();
    int whole = depth / PARTIAL_SUMS * PARTIAL_SUMS;
    boolean wide = rows == 1 && !b.bfloat16(); // its conversions would exceed the compiler's budget
    int group = wide ? DOTS : 4;
    int j = 0;
    for (; j + group <= columns; j += group) {
      long from = start + j * b.across();
      for (int i = 0; i < rows; i++) {
        for (int l = 0; l < PARTIAL_SUMS; l += LANES) {
          if (b.bfloat16()) {
            MatmulBFloat16.dot4(a, i * depth, b.data(), from, b.across(), l, whole, partial);
          } else if (wide) {
            dot8(a, b.data(), from, b.across(), l, whole, partial);
          } else {
            dot4(a, i * depth, b.data(), from, b.across(), l, whole, partial);
          }
        }
        if (LANES == PARTIAL_SUMS && whole == depth) {
          fold(partial, group, t, i * pitch + j);
          continue;
        }
        for (int c = 0; c < group; c++) {
          t[i * pitch + j + c] =
              fold(partial, c * PARTIAL_SUMS, a, i * depth, b, from + c * b.across(), whole, depth);
        }
      }
    }
    for (; j < columns; j++) {
      long from = start + j * b.across();
      for (int i = 0; i < rows; i++) {
        for (int l = 0; l < PARTIAL_SUMS; l += LANES) {
          if (b.bfloat16()) {
            MatmulBFloat16.dot1(a, i * depth, b.data(), from, l, whole, partial);
          } else {
            dot1(a, i * depth, b.data(), from, l, whole, partial);
          }
        }
        t[i * pitch + j] = fold(partial, 0, a, i * depth, b, from, whole, depth);
      }
    }
  }

  /// The sums of `count` vectors' lanes.
  private static void fold(float[] partial, int count, float[] t, int at) {
    for (int c = 0; c < count; c++) {
      t[at + c] = Vectors.fold(FloatVector.fromArray(SPECIES, partial, c * LANES));
    }
  }

  /// Partial sums `first … first + LANES` of [#DOTS] dot products.
  private static void dot8(
      float[] a, MemorySegment b, long b0, long across, int first, int depth, float[] partial) {
    MemorySegment memory = Vectors.known(b);
    long b1 = b0 + across;
    long b2 = b1 + across;
    long b3 = b2 + across;
    long b4 = b3 + across;
    long b5 = b4 + across;
    long b6 = b5 + across;
    long b7 = b6 + across;
    FloatVector s0 = FloatVector.zero(SPECIES);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    FloatVector s4 = s0;
    FloatVector s5 = s0;
    FloatVector s6 = s0;
    FloatVector s7 = s0;
    for (int k = first; k < depth; k += PARTIAL_SUMS) {
      FloatVector x = FloatVector.fromArray(SPECIES, a, k);
      s0 = FloatVector.fromMemorySegment(SPECIES, memory, b0 + k * 4L, ORDER).fma(x, s0);
      s1 = FloatVector.fromMemorySegment(SPECIES, memory, b1 + k * 4L, ORDER).fma(x, s1);
      s2 = FloatVector.fromMemorySegment(SPECIES, memory, b2 + k * 4L, ORDER).fma(x, s2);
      s3 = FloatVector.fromMemorySegment(SPECIES, memory, b3 + k * 4L, ORDER).fma(x, s3);
      s4 = FloatVector.fromMemorySegment(SPECIES, memory, b4 + k * 4L, ORDER).fma(x, s4);
      s5 = FloatVector.fromMemorySegment(SPECIES, memory, b5 + k * 4L, ORDER).fma(x, s5);
      s6 = FloatVector.fromMemorySegment(SPECIES, memory, b6 + k * 4L, ORDER).fma(x, s6);
      s7 = FloatVector.fromMemorySegment(SPECIES, memory, b7 + k * 4L, ORDER).fma(x, s7);
    }
    s0.intoArray(partial, first);
    s1.intoArray(partial, first + PARTIAL_SUMS);
    s2.intoArray(partial, first + 2 * PARTIAL_SUMS);
    s3.intoArray(partial, first + 3 * PARTIAL_SUMS);
    s4.intoArray(partial, first + 4 * PARTIAL_SUMS);
    s5.intoArray(partial, first + 5 * PARTIAL_SUMS);
    s6.intoArray(partial, first + 6 * PARTIAL_SUMS);
    s7.intoArray(partial, first + 7 * PARTIAL_SUMS);
  }

  /// Partial sums `first … first + LANES` of four dot products.
  private static void dot4(
      float[] a,
      int ao,
      MemorySegment b,
      long b0,
      long across,
      int first,
      int depth,
      float[] partial) {
    MemorySegment memory = Vectors.known(b);
    long b1 = b0 + across;
    long b2 = b1 + across;
    long b3 = b2 + across;
    FloatVector s0 = FloatVector.zero(SPECIES);
    FloatVector s1 = s0;
    FloatVector s2 = s0;
    FloatVector s3 = s0;
    for (int k = first; k < depth; k += PARTIAL_SUMS) {
      FloatVector x = FloatVector.fromArray(SPECIES, a, ao + k);
      s0 = FloatVector.fromMemorySegment(SPECIES, memory, b0 + k * 4L, ORDER).fma(x, s0);
      s1 = FloatVector.fromMemorySegment(SPECIES, memory, b1 + k * 4L, ORDER).fma(x, s1);
      s2 = FloatVector.fromMemorySegment(SPECIES, memory, b2 + k * 4L, ORDER).fma(x, s2);
      s3 = FloatVector.fromMemorySegment(SPECIES, memory, b3 + k * 4L, ORDER).fma(x, s3);
    }
    s0.intoArray(partial, first);
    s1.intoArray(partial, first + PARTIAL_SUMS);
    s2.intoArray(partial, first + 2 * PARTIAL_SUMS);
    s3.intoArray(partial, first + 3 * PARTIAL_SUMS);
  }

  /// Partial sums `first … first + LANES` of one dot product.
  private static void dot1(
      float[] a, int ao, MemorySegment b, long from, int first, int depth, float[] partial) {
    MemorySegment memory = Vectors.known(b);
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int k = first; k < depth; k += PARTIAL_SUMS) {
      sum =
          FloatVector.fromMemorySegment(SPECIES, memory, from + k * 4L, ORDER)
              .fma(FloatVector.fromArray(SPECIES, a, ao + k), sum);
    }
    sum.intoArray(partial, first);
  }

  @Override
  void store(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      storeRow(t, i * pitch, columns, y, start + i * stride);
    }
  }

  private static void storeRow(float[] t, int at, int columns, MemorySegment y, long to) {
    MemorySegment memory = Vectors.known(y);
    int j = 0;
    for (; j + LANES <= columns; j += LANES) {
      FloatVector.fromArray(SPECIES, t, at + j).intoMemorySegment(memory, to + j * 4L, ORDER);
    }
    for (; j < columns; j++) {
      y.set(FLOAT, to + j * 4L, t[at + j]);
    }
  }

  @Override
  void addStore(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      addStoreRow(t, i * pitch, columns, y, start + i * stride);
    }
  }

  private static void addStoreRow(float[] t, int at, int columns, MemorySegment y, long to) {
    MemorySegment memory = Vectors.known(y);
    int j = 0;
    for (; j + LANES <= columns; j += LANES) {
      FloatVector.fromMemorySegment(SPECIES, memory, to + j * 4L, ORDER)
          .add(FloatVector.fromArray(SPECIES, t, at + j))
          .intoMemorySegment(memory, to + j * 4L, ORDER);
    }
    for (; j < columns; j++) {
      y.set(FLOAT, to + j * 4L, y.get(FLOAT, to + j * 4L) + t[at + j]);
    }
  }

  @Override
  void storeBfloat16(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    MatmulBFloat16.store(t, pitch, rows, columns, y, start, stride);
  }

  @Override
  void loadBfloat16(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    MatmulBFloat16.load(t, pitch, rows, columns, y, start, stride);
  }

  @Override
  void load(float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      loadRow(t, i * pitch, columns, y, start + i * stride);
    }
  }

  private static void loadRow(float[] t, int at, int columns, MemorySegment y, long from) {
    MemorySegment memory = Vectors.known(y);
    int j = 0;
    for (; j + LANES <= columns; j += LANES) {
      FloatVector.fromMemorySegment(SPECIES, memory, from + j * 4L, ORDER)
          .add(FloatVector.fromArray(SPECIES, t, at + j))
          .intoArray(t, at + j);
    }
    for (; j < columns; j++) {
      t[at + j] = y.get(FLOAT, from + j * 4L) + t[at + j];
    }
  }

  @Override
  void activate(float[] t, int pitch, int rows, int columns, Activation f) {
    int whole = columns / LANES * LANES;
    for (int i = 0; i < rows; i++) {
      int at = i * pitch;
      switch (f) {
        case NONE -> {}
        case RELU -> relu(t, at, at + whole);
        case GELU_TANH -> geluTanh(t, at, at + whole);
        case GELU_ERF -> geluErf(t, at, at + whole);
      }
      for (int j = at + whole; j < at + columns; j++) {
        t[j] = f.apply(t[j]);
      }
    }
  }

  private static void relu(float[] t, int at, int end) {
    for (int j = at; j < end; j += LANES) {
      FloatVector.fromArray(SPECIES, t, j).max(0f).intoArray(t, j);
    }
  }

  private static void geluTanh(float[] t, int at, int end) {
    for (int j = at; j < end; j += LANES) {
      VectorMath.geluTanh(FloatVector.fromArray(SPECIES, t, j)).intoArray(t, j);
    }
  }

  private static void geluErf(float[] t, int at, int end) {
    for (int j = at; j < end; j += LANES) {
      VectorMath.geluErf(FloatVector.fromArray(SPECIES, t, j)).intoArray(t, j);
    }
  }
}
