package fornax.cpu;

import fornax.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// The inner loops of [Matmul]: packing, the register-blocked microkernel, and what happens to a
/// tile of results on its way to memory.
///
/// A tile is a `float[]` whose rows are `pitch` apart, [#tileColumns] for the microkernel's. Every
/// implementation adds the products of one element in the same order (one FMA for each `k`,
/// upwards), so all give the same bits. The methods here are the scalar ones; byte offsets and
/// strides are in bytes.
class MatmulKernels {
  /// The partial sums of a dot product: the lanes of the widest vectors.
  static final int PARTIAL_SUMS = 16;

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

  /// The number of rows of a full tile.
  int tileRows() {
    return 4;
  }

  /// The number of columns of a full tile. Long, so that C2 turns the scalar loop into vectors.
  int tileColumns() {
    return 64;
  }

  /// The rows of the panel that covers the next `remaining > 0` rows.
  int panelRows(int remaining) {
    return Math.min(remaining, tileRows());
  }

  /// The columns of the panel that covers the next `remaining > 0` columns.
  int panelColumns(int remaining) {
    return Math.min((remaining + 7) & -8, tileColumns());
  }

  /// Copies a `valid × depth` block into a panel: `panel[at + k·width + j] = source(j, k)`, zero
  /// for `j ≥ valid`. `across` is the stride of `j`, `along` that of `k`.
  final void pack(
      float[] panel, int at, int width, int valid, int depth, Source source, long start) {
    if (valid < width) {
      for (int k = 0; k < depth; k++) {
        java.util.Arrays.fill(panel, at + k * width + valid, at + (k + 1) * width, 0f);
      }
    }
    if (source.across == source.elementBytes()) {
      packAcross(panel, at, width, valid, depth, source, start);
    } else {
      packAlong(panel, at, width, valid, depth, source, start);
    }
  }

  /// What [#pack] reads: strides in bytes.
  record Source(MemorySegment data, boolean bfloat16, long across, long along) {
    int elementBytes() {
      return bfloat16 ? Short.BYTES : Float.BYTES;
    }

    float get(long byteOffset) {
      return bfloat16
          ? DType.fromBFloat16(data.get(SHORT, byteOffset))
          : data.get(FLOAT, byteOffset);
    }
  }

  /// Packs a block whose `j` axis is contiguous.
  void packAcross(
      float[] panel, int at, int width, int valid, int depth, Source source, long start) {
    if (source.bfloat16) {
      packAlong(panel, at, width, valid, depth, source, start);
      return;
    }
    for (int k = 0; k < depth; k++) {
      MemorySegment.copy(
          source.data, FLOAT, start + k * source.along, panel, at + k * width, valid);
    }
  }

  /// Packs a block of any strides.
  void packAlong(
      float[] panel, int at, int width, int valid, int depth, Source source, long start) {
    int j = 0;
    if (!source.bfloat16) {
      for (; j + 4 <= valid; j += 4) {
        packFourFloats(panel, at + j, width, depth, source, start + j * source.across);
      }
    }
    for (; j < valid; j++) {
      long from = start + j * source.across;
      for (int k = 0; k < depth; k++) {
        panel[at + k * width + j] = source.get(from + k * source.along);
      }
    }
  }

  private static void packFourFloats(
      float[] panel, int at, int width, int depth, Source source, long start) {
    MemorySegment data = source.data;
    long across = source.across;
    long along = source.along;
    for (int k = 0; k < depth; k++) {
      long from = start + k * along;
      int to = at + k * width;
      panel[to] = data.get(FLOAT, from);
      panel[to + 1] = data.get(FLOAT, from + across);
      panel[to + 2] = data.get(FLOAT, from + 2 * across);
      panel[to + 3] = data.get(FLOAT, from + 3 * across);
    }
  }

  /// Sets `y[to + j·strideY + i] = x[from + i·strideX + j]` for `i < rows`, `j < columns`. Where
  /// `strideY = rows`, up to a tile's width of elements behind the last one may be overwritten.
  void transpose(
      float[] x, int from, int strideX, int rows, int columns, float[] y, int to, int strideY) {
    for (int j = 0; j < columns; j++) {
      for (int i = 0; i < rows; i++) {
        y[to + j * strideY + i] = x[from + i * strideX + j];
      }
    }
  }

  /// The product of an A panel of `rows` rows and a B panel of `columns` columns over `depth`,
  /// written (not added) to the tile that starts at `t[to]`.
  void multiply(
      float[] a, int ao, int rows, float[] b, int bo, int columns, int depth, float[] t, int to) {
    int pitch = tileColumns();
    for (int i = 0; i < rows; i++) {
      java.util.Arrays.fill(t, to + i * pitch, to + i * pitch + columns, 0f);
      int k = 0;
      for (; k + 4 <= depth; k += 4) {
        int x = ao + k * rows + i;
        axpy4(
            a[x],
            a[x + rows],
            a[x + 2 * rows],
            a[x + 3 * rows],
            b,
            bo + k * columns,
            columns,
            t,
            to + i * pitch);
      }
      for (; k < depth; k++) {
        axpy(a[ao + k * rows + i], b, bo + k * columns, columns, t, to + i * pitch);
      }
    }
  }

  /// `t[i·pitch + j] = Σ a(i, k)·b(j, k)` for a few rows `i` of a packed panel `a` (of `rows` rows)
  /// and `columns` columns of a `b` whose `j` axis is contiguous, read in place. Same bits as
  /// [#multiply].
  void multiplyUnpacked(
      float[] a, int rows, Source b, long start, int columns, int depth, float[] t, int pitch) {
    for (int i = 0; i < rows; i++) {
      java.util.Arrays.fill(t, i * pitch, i * pitch + columns, 0f);
    }
    for (int k = 0; k < depth; k++) {
      long from = start + k * b.along;
      for (int i = 0; i < rows; i++) {
        float x = a[k * rows + i];
        for (int j = 0; j < columns; j++) {
          t[i * pitch + j] =
              Math.fma(x, b.get(from + (long) j * b.elementBytes()), t[i * pitch + j]);
        }
      }
    }
  }

  /// `t[i·pitch + j] = Σ a(i, k)·b(j, k)` for a few contiguous rows `i` of `a` (`depth` apart) and
  /// `columns` columns of a `b` whose `k` axis is contiguous, read in place. Product `k` goes to
  /// partial sum `k mod 16`, whatever the width of vectors; see [#fold].
  void dot(
      float[] a, int rows, Source b, long start, int columns, int depth, float[] t, int pitch) {
    float[] partial = new float[PARTIAL_SUMS];
    int whole = depth / PARTIAL_SUMS * PARTIAL_SUMS;
    for (int j = 0; j < columns; j++) {
      long from = start + j * b.across;
      for (int i = 0; i < rows; i++) {
        java.util.Arrays.fill(partial, 0f);
        for (int k = 0; k < whole; k += PARTIAL_SUMS) {
          for (int l = 0; l < PARTIAL_SUMS; l++) {
            float x = b.get(from + (long) (k + l) * b.elementBytes());
            partial[l] = Math.fma(x, a[i * depth + k + l], partial[l]);
          }
        }
        t[i * pitch + j] = fold(partial, 0, a, i * depth, b, from, whole, depth);
      }
    }
  }

  /// The sum of the partial sums from `partial[at]` on, by halves, and then of the products from
  /// `whole` on.
  static float fold(
      float[] partial, int at, float[] a, int ao, Source b, long from, int whole, int depth) {
    for (int half = PARTIAL_SUMS / 2; half > 0; half /= 2) {
      for (int i = at; i < at + half; i++) {
        partial[i] += partial[i + half];
      }
    }
    float sum = partial[at];
    for (int k = whole; k < depth; k++) {
      sum = Math.fma(a[ao + k], b.get(from + (long) k * b.elementBytes()), sum);
    }
    return sum;
  }

  private static void axpy4(
      float a0, float a1, float a2, float a3, float[] b, int bo, int n, float[] t, int to) {
    for (int j = 0; j < n; j++) {
      float sum = Math.fma(a0, b[bo + j], t[to + j]);
      sum = Math.fma(a1, b[bo + n + j], sum);
      sum = Math.fma(a2, b[bo + 2 * n + j], sum);
      t[to + j] = Math.fma(a3, b[bo + 3 * n + j], sum);
    }
  }

  private static void axpy(float a, float[] b, int bo, int n, float[] t, int to) {
    for (int j = 0; j < n; j++) {
      t[to + j] = Math.fma(a, b[bo + j], t[to + j]);
    }
  }

  /// `y = tile`.
  void store(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      MemorySegment.copy(t, i * pitch, y, FLOAT, start + i * stride, columns);
    }
  }

  /// `y = y + tile`.
  void addStore(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    load(t, pitch, rows, columns, y, start, stride);
    store(t, pitch, rows, columns, y, start, stride);
  }

  /// `tile = y + tile`.
  void load(float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        t[i * pitch + j] += y.get(FLOAT, start + i * stride + j * 4L);
      }
    }
  }

  /// `y = tile`, rounded to BF16.
  void storeBfloat16(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        y.set(SHORT, start + i * stride + j * 2L, DType.toBFloat16(t[i * pitch + j]));
      }
    }
  }

  /// `tile = y + tile` for a BF16 `y`.
  void loadBfloat16(
      float[] t, int pitch, int rows, int columns, MemorySegment y, long start, long stride) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        t[i * pitch + j] += DType.fromBFloat16(y.get(SHORT, start + i * stride + j * 2L));
      }
    }
  }

  /// `tile = tile + bias`, the row's first number being `bias[at]`.
  void addBias(float[] t, int pitch, int rows, int columns, float[] bias, int at) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        t[i * pitch + j] += bias[at + j];
      }
    }
  }

  /// `tile = f(tile)`.
  void activate(float[] t, int pitch, int rows, int columns, Activation f) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        t[i * pitch + j] = f.apply(t[i * pitch + j]);
      }
    }
  }
}
