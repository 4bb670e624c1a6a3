package fornax.cuda;

import fornax.array.DType;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Products of BF16 (`matmulmma.cu`) and F16 matrices (`matmulmmaf16.cu`), and of F32 matrices in
/// TF32 (`matmultf32.cu`), on tensor cores, where cuBLAS is missing or declined.
final class TensorMatmul {
  /// Tiles at once in shared memory, as the kernels have them.
  private static final int STAGES = 3;

  /// Of the results in shared memory, and of tiles that lie across k.
  private static final int PADDING = 8;

  /// The kernels for one type of factors.
  ///
  /// @param type of the factors
  /// @param file of the kernels
  /// @param prefix of their names
  /// @param steps along k of one tile
  /// @param alongPadding of tiles that lie along k
  record Factors(DType type, String file, String prefix, int steps, int alongPadding) {
    static final Factors BF16 = new Factors(DType.BF16, "matmulmma", "matmul_mma_", 32, 8);
    static final Factors F16 = new Factors(DType.F16, "matmulmmaf16", "matmul_mma_f16_", 32, 8);
    static final Factors TF32 = new Factors(DType.F32, "matmultf32", "matmul_tf32_", 16, 4);

    static final List<Factors> ALL = List.of(BF16, F16, TF32);

    /// Bytes of shared memory: the tiles of a and b at once, or the results.
    int shared(Tile tile, boolean aByRows, boolean bByRows) {
      int along = steps + alongPadding;
      int a = aByRows ? tile.rows * along : steps * (tile.rows + PADDING);
      int b = bByRows ? steps * (tile.columns + PADDING) : tile.columns * along;
      return Math.max(
          STAGES * (a + b) * type.bytes(), tile.rows * (tile.columns + PADDING) * Float.BYTES);
    }
  }

  /// A block's part of the result.
  ///
  /// @param rows of the result
  /// @param columns of the result
  /// @param threads of the block
  record Tile(int rows, int columns, int threads) {
    String name() {
      return rows + "x" + columns;
    }

    private long blocks(long m, long n, long batches) {
      return (m + rows - 1) / rows * ((n + columns - 1) / columns) * batches;
    }
  }

  /// The kernels' tiles, largest first.
  static final Tile[] TILES = {
    new Tile(128, 128, 256), new Tile(128, 64, 128), new Tile(64, 64, 128),
  };

  /// Those that fit the 64 KiB of shared memory of cards before capability 8.0.
  private static final Tile[] SMALLER_TILES = Arrays.copyOfRange(TILES, 1, TILES.length);

  /// About a block to each multiprocessor of an A100 (108) or H100 (132).
  private static final long FULL = 108;

  /// Larger results are not made twice to find their fastest tile.
  private static final long MOST_SEARCH_BYTES = 1L << 30;

  private final CudaDevice device;
  private final Elementwise elementwise;
  private final TileSearch search;
  private boolean tf32;

  TensorMatmul(CudaDevice device, Elementwise elementwise) {
    this.device = device;
    this.elementwise = elementwise;
    this.search = new TileSearch(device);
  }

  /// Whether F32 matrices are taken from now on.
  void takeTf32(boolean wanted) {
    tf32 = wanted;
  }

  /// Whether there are kernels for these operands.
  boolean takes(NdArray a, NdArray b, @Nullable Unary activation, NdArray y) {
    return factors(a, b) != null
        && y.dtype().isFloating()
        && (activation == null || Matmul.EPILOGUES.contains(activation));
  }

  private @Nullable Factors factors(NdArray a, NdArray b) {
    for (Factors factors : Factors.ALL) {
      if (a.dtype() == factors.type
          && b.dtype() == factors.type
          && (factors != Factors.TF32 || tf32)
          && device.capability() >= KernelSource.leastCapability(factors.file)) {
        return factors;
      }
    }
    return null;
  }

  /// `y = activation(a·b + bias)`, or with `accumulate` y added before the bias; `before`, laid out
  /// and of the type of y, gets what the activation is given.
  void multiply(
      NdArray a,
      NdArray b,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      @Nullable NdArray before,
      NdArray y,
      boolean accumulate) {
    Factors factors = factors(a, b);
    if (factors == null) {
      throw new IllegalArgumentException("matmul: no tensor cores for " + a + " and " + b);
    }
    try (var work = new Workspace(device.memory())) {
      NdArray left = operand(work, a);
      NdArray right = operand(work, b);
      Tile tile = choose(factors, left, right, y);
      launch(factors, tile, left, right, bias, activation, before, y, accumulate);
    }
  }

  // Products that are timed write into an array of their own.
  private Tile choose(Factors factors, NdArray a, NdArray b, NdArray y) {
    long m = y.dim(-2);
    long n = y.dim(-1);
    long batches = y.elements() / m / n;
    Tile[] tiles = device.capability() < 80 ? SMALLER_TILES : TILES;
    Tile usual = usual(tiles, m, n, batches);
    if (y.bytes() > MOST_SEARCH_BYTES) {
      return usual;
    }
    var product = new TileSearch.Product(factors.prefix, form(a, b), m, n, a.dim(-1), batches);
    return search.tile(product, tiles, usual, tile -> nanos(factors, tile, a, b, y));
  }

  private long nanos(Factors factors, Tile tile, NdArray a, NdArray b, NdArray y) {
    try (var work = new Workspace(device.memory())) {
      NdArray result = work.allocate(y.dtype(), y.shape());
      return device.nanos(() -> launch(factors, tile, a, b, null, null, null, result, false));
    }
  }

  private static String form(NdArray a, NdArray b) {
    return (byRows(a) ? "n" : "t") + (byRows(b) ? "n" : "t");
  }

  /// Likewise of `factors` by blocks of `tile`, one of [#TILES].
  void multiply(
      Factors factors,
      Tile tile,
      NdArray a,
      NdArray b,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      @Nullable NdArray before,
      NdArray y,
      boolean accumulate) {
    try (var work = new Workspace(device.memory())) {
      NdArray left = operand(work, a);
      NdArray right = operand(work, b);
      launch(factors, tile, left, right, bias, activation, before, y, accumulate);
    }
  }

  // Matrices that lie by rows or by columns: `x` itself or a copy.
  private NdArray operand(Workspace work, NdArray x) {
    return byRows(x) || byRows(x.transpose()) ? x : elementwise.contiguous(work, x, x.dtype());
  }

  private static boolean byRows(NdArray x) {
    return x.dim(-1) == 1 || x.layout().stride(-1) == 1;
  }

  private void launch(
      Factors factors,
      Tile tile,
      NdArray a,
      NdArray b,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      @Nullable NdArray before,
      NdArray y,
      boolean accumulate) {
    StridedLoop batch = StridedLoop.of(Matmul.batches(a), Matmul.batches(b), Matmul.batches(y));
    boolean aByRows = byRows(a);
    boolean bByRows = byRows(b);
    long m = y.dim(-2);
    long n = y.dim(-1);
    long batches = batch.elements();
    for (long first = 0; first < batches; first += Matmul.MAX_GRID_YZ) {
      device
          .kernel("matmul", factors.file, factors.prefix + tile.name() + "_" + form(a, b))
          .struct()
          .word(CudaBlock.address(a))
          .word(CudaBlock.address(b))
          .word(bias == null ? 0 : CudaBlock.address(bias))
          .word(before == null ? 0 : CudaBlock.address(before))
          .word(CudaBlock.address(y))
          .word(a.layout().stride(aByRows ? -2 : -1))
          .word(b.layout().stride(bByRows ? -2 : -1))
          .word(y.layout().stride(-2))
          .word(y.layout().stride(-1))
          .pair(Math.toIntExact(m), Math.toIntExact(n))
          .pair(Math.toIntExact(a.dim(-1)), accumulate ? 1 : 0)
          .pair(Math.toIntExact(first), activation == null ? -1 : activation.ordinal())
          .pair(CudaDevice.type(y), aligned(a, aByRows, batch, 0) ? 1 : 0)
          .pair(aligned(b, bByRows, batch, 1) ? 1 : 0, pairs(y, batch) ? 1 : 0)
          .loop(batch)
          .shared(factors.shared(tile, aByRows, bByRows))
          .run(
              (n + tile.columns - 1) / tile.columns,
              (m + tile.rows - 1) / tile.rows,
              Math.min(Matmul.MAX_GRID_YZ, batches - first),
              tile.threads,
              1);
    }
  }

  // The largest tile of which there are enough to fill a card.
  private static Tile usual(Tile[] tiles, long m, long n, long batches) {
    for (Tile tile : tiles) {
      if (m >= tile.rows && n >= tile.columns && tile.blocks(m, n, batches) >= FULL) {
        return tile;
      }
    }
    return tiles[tiles.length - 1];
  }

  // Whether each row of each matrix begins at a multiple of 16 bytes.
  private static boolean aligned(NdArray x, boolean byRows, StridedLoop batch, int operand) {
    long leading = x.layout().stride(byRows ? -2 : -1);
    int bytes = x.dtype().bytes();
    return multiples(CudaBlock.address(x), leading * bytes, batch.strides()[operand], bytes, 16);
  }

  // Whether an even column's result and the next one's are neighbours that begin at a multiple.
  private static boolean pairs(NdArray y, StridedLoop batch) {
    int bytes = y.dtype().bytes();
    return y.layout().stride(-1) == 1
        && multiples(
            CudaBlock.address(y),
            y.layout().stride(-2) * bytes,
            batch.strides()[2],
            bytes,
            2 * bytes);
  }

  private static boolean multiples(long address, long rowBytes, long[] strides, int bytes, int of) {
    long all = address | rowBytes;
    for (long stride : strides) {
      all |= stride * bytes;
    }
    return all % of == 0;
  }
}
