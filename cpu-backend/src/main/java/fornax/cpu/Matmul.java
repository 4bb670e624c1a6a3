package fornax.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Matrix products on the CPU: `y = f(y₀ + a·b + bias)`, see [MatmulArgs].
///
/// Layout of the work, after Goto and van de Geijn (doi:10.1145/1356052.1356053) and BLIS: `y` is
/// cut into blocks, one task each; a task walks over `k` in blocks of at most [#DEPTH], packs its
/// block of `a` into panels of a tile's rows (held in L2) and `b`, a few panels at a time, into
/// panels of a tile's columns (held in L1), and multiplies panel by panel in registers.
///
/// The products of one element are added in an order that depends on `inner` alone, so the bits of
/// a result depend neither on the number of threads nor on how `y` was cut.
final class Matmul {
  /// The kernels for this JVM.
  static final MatmulKernels KERNELS =
      Simd.AVAILABLE ? new MatmulVectorKernels() : new MatmulKernels();

  /// The longest block of `k`: a B panel of it (2 vectors wide) is about the size of L1.
  private static final int DEPTH = 384;

  /// The most rows of a task: its packed A block takes up to 576 KB of L2.
  private static final int MAX_ROWS = 384;

  /// The most columns of a task; this bounds the partial sums of a BF16 result.
  private static final int MAX_COLUMNS = 2048;

  /// Products with at most this many rows (decoding) read `b` once, in place.
  private static final int THIN_ROWS = 8;

  /// The columns of a thin product summed at a time: one row's sums stay in L1, and those of
  /// several with the rows of `b` that they share.
  private static final int STRIPE = 1024;

  private static final int ROW_STRIPE = 4096;

  /// Columns of `b` packed at a time: long enough runs for the prefetcher and the TLB.
  private static final int PACK_COLUMNS = 128;

  /// Multiply-adds below which a task is not worth cutting.
  private static final long MIN_TASK_WORK = 1 << 18;

  private static final ThreadLocal<Scratch> SCRATCH = ThreadLocal.withInitial(Scratch::new);

  private Matmul() {}

  /// Computes what `args` says, on the threads of `workers`.
  static void run(Workers workers, MatmulArgs args) {
    run(workers, args, KERNELS);
  }

  static void run(Workers workers, MatmulArgs args, MatmulKernels kernels) {
    if (args.batch == 0 || args.rows == 0 || args.columns == 0) {
      return;
    }
    Plan plan = new Plan(args, kernels, workers.threads());
    workers.parallel(plan.work(), plan.tasks(), plan);
  }

  /// The buffers of one thread, kept from call to call.
  private static final class Scratch {
    float[] a = {};
    float[] b = {};
    float[] tile = {};
    MemorySegment partial = MemorySegment.NULL;

    float[] a(int length) {
      if (a.length < length) {
        a = new float[length];
      }
      return a;
    }

    float[] b(int length) {
      if (b.length < length) {
        b = new float[length];
      }
      return b;
    }

    float[] tile(int length) {
      if (tile.length < length) {
        tile = new float[length];
      }
      return tile;
    }

    MemorySegment partial(long bytes) {
      if (partial.byteSize() < bytes) {
        partial = Arena.ofAuto().allocate(bytes, 64);
      }
      return partial;
    }
  }

  /// The ways to compute a product.
  private enum Form {
    /// Packed panels.
    BLOCKED,
    /// A few rows: `b` is read in place.
    THIN,
    /// One column: the thin product of the transposes.
    COLUMN
  }

  private static Form form(MatmulArgs args) {
    if (args.rows <= THIN_ROWS) {
      return isReadable(args.b) ? Form.THIN : Form.BLOCKED;
    }
    return args.columns == 1 && isReadable(args.a.transposed()) ? Form.COLUMN : Form.BLOCKED;
  }

  private static boolean isReadable(MatrixView b) {
    return b.columnStride == 1 || b.rowStride == 1;
  }

  /// How one call is cut into tasks, and the tasks.
  private static final class Plan implements Workers.Task {
    final MatmulArgs args;
    final MatmulKernels kernels;
    final float[] bias;
    final int rowBlocks;
    final int columnBlocks;
    final int blockRows;
    final int blockColumns;
    final int batchGroup;
    final Form form;

    Plan(MatmulArgs args, MatmulKernels kernels, int threads) {
      this.args = args;
      this.kernels = kernels;
      this.bias = bias(args);
      this.form = form(args);
      long work = work();
      int target = 1;
      if (threads > 1 && work >= Workers.MIN_PARALLEL_WORK) {
        long worth = Math.max(threads, work / (32 * MIN_TASK_WORK));
        target = (int) Math.clamp(work / (MIN_TASK_WORK / 8), 1, Math.min(4L * threads, worth));
      }
      int[] cut =
          switch (form) {
            case BLOCKED -> cut(target, threads);
            case THIN -> new int[] {1, ceilDiv(target, args.batch)};
            case COLUMN -> new int[] {ceilDiv(target, args.batch), 1};
          };
      int rowUnit = form == Form.BLOCKED ? kernels.tileRows() : kernels.tileColumns();
      this.blockRows = roundUp(ceilDiv(args.rows, cut[0]), rowUnit);
      this.blockColumns = roundUp(ceilDiv(args.columns, cut[1]), kernels.tileColumns());
      this.rowBlocks = ceilDiv(args.rows, blockRows);
      this.columnBlocks = ceilDiv(args.columns, blockColumns);
      this.batchGroup = rowBlocks * columnBlocks == 1 ? Math.max(1, args.batch / (8 * threads)) : 1;
    }

    /// The numbers of row and column blocks that give about `target` tasks at the least cost.
    private int[] cut(int target, int threads) {
      int minRows = ceilDiv(args.rows, MAX_ROWS);
      int minColumns = ceilDiv(args.columns, MAX_COLUMNS);
      int[] best = {minRows, minColumns};
      if (target == 1) {
        return best;
      }
      double bestCost = Double.MAX_VALUE;
      int maxRows = Math.clamp(target, minRows, ceilDiv(args.rows, kernels.tileRows()));
      int maxColumns = ceilDiv(args.columns, kernels.tileColumns());
      for (int r = minRows; r <= maxRows; r++) {
        long tasks = (long) r * args.batch;
        int c = Math.clamp((target + tasks - 1) / tasks, minColumns, maxColumns);
        double cost = cost(r, c, threads);
        if (cost < bestCost) {
          bestCost = cost;
          best = new int[] {r, c};
        }
      }
      return best;
    }

    /// The estimated time (in multiply-adds) of a cut into `r × c` blocks for each matrix.
    private double cost(int r, int c, int threads) {
      int m = roundUp(ceilDiv(args.rows, r), kernels.tileRows());
      int n = roundUp(ceilDiv(args.columns, c), kernels.tileColumns());
      long tasks = (long) ceilDiv(args.rows, m) * ceilDiv(args.columns, n) * args.batch;
      long rounds = (tasks + threads - 1) / threads;
      double packing =
          m * packingCost(args.a.rowStride == 1) + n * packingCost(args.b.columnStride == 1);
      return rounds * ((double) Math.min(m, args.rows) * Math.min(n, args.columns) + packing);
    }

    /// Packing one element in multiply-adds: a vector copy, or an element-wise transposition.
    private static double packingCost(boolean contiguous) {
      return contiguous ? 10 : 25;
    }

    private static float[] bias(MatmulArgs args) {
      MatrixView view = args.bias;
      if (view == null) {
        return new float[0];
      }
      float[] bias = new float[args.columns];
      var source =
          new MatmulKernels.Source(view.data, view.bfloat16, view.columnBytes(), view.rowBytes());
      for (int j = 0; j < bias.length; j++) {
        bias[j] = source.get(view.byteOffset(0, 0, j));
      }
      return bias;
    }

    long work() {
      return (long) args.rows * args.columns * Math.max(1, args.inner) * args.batch;
    }

    int tasks() {
      return rowBlocks * columnBlocks * ceilDiv(args.batch, batchGroup);
    }

    @Override
    public void run(int task) {
      Scratch scratch = SCRATCH.get();
      int block = task % (rowBlocks * columnBlocks);
      int first = task / (rowBlocks * columnBlocks) * batchGroup;
      int row = block / columnBlocks * blockRows;
      int column = block % columnBlocks * blockColumns;
      int rows = Math.min(blockRows, args.rows - row);
      int columns = Math.min(blockColumns, args.columns - column);
      for (int batch = first; batch < Math.min(args.batch, first + batchGroup); batch++) {
        Block y = new Block(args, kernels, bias, scratch, batch, row, rows, column, columns);
        switch (form) {
          case BLOCKED -> y.run();
          case THIN -> y.runThin(args.a, args.b);
          case COLUMN -> y.runThin(args.b.transposed(), args.a.transposed());
        }
      }
    }
  }

  /// One block of `y`: rows `[row, row + rows)`, columns `[column, column + columns)`.
  private static final class Block {
    final MatmulArgs args;
    final MatmulKernels kernels;
    final float[] bias;
    final int batch;
    final int row;
    final int rows;
    final int column;
    final int columns;
    final Scratch scratch;
    final float[] tile;
    final MatmulKernels.Source aSource;
    final MatmulKernels.Source bSource;
    final int depth;

    /// Where sums over the first blocks of `k` wait: `y` itself, or floats beside a BF16 `y`.
    final MemorySegment partial;

    final long partialStart;
    final long partialStride;

    Block(
        MatmulArgs args,
        MatmulKernels kernels,
        float[] bias,
        Scratch scratch,
        int batch,
        int row,
        int rows,
        int column,
        int columns) {
      this.args = args;
      this.kernels = kernels;
      this.bias = bias;
      this.batch = batch;
      this.row = row;
      this.rows = rows;
      this.column = column;
      this.columns = columns;
      int blocks = Math.max(1, ceilDiv(args.inner, DEPTH));
      this.depth = roundUp(ceilDiv(args.inner, blocks), 8);
      this.scratch = scratch;
      this.tile = scratch.tile(kernels.tileRows() * kernels.tileColumns());
      MatrixView a = args.a;
      MatrixView b = args.b;
      this.aSource = new MatmulKernels.Source(a.data, a.bfloat16, a.rowBytes(), a.columnBytes());
      this.bSource = new MatmulKernels.Source(b.data, b.bfloat16, b.columnBytes(), b.rowBytes());
      if (args.y.bfloat16) {
        this.partialStride = columns * 4L;
        this.partial = scratch.partial(rows * partialStride);
        this.partialStart = 0;
      } else {
        this.partialStride = args.y.rowBytes();
        this.partial = args.y.data;
        this.partialStart = args.y.byteOffset(batch, row, column);
      }
    }

    private int packColumns() {
      return Math.max(PACK_COLUMNS, kernels.tileColumns());
    }

    void run() {
      int lane = kernels.tileColumns();
      // One tile's width of slack: packing may write whole vectors past the last row.
      float[] aPanels = scratch.a(roundUp(rows, kernels.tileRows()) * depth + lane);
      float[] bPanels = scratch.b(roundUp(Math.min(columns, packColumns()), lane) * depth + lane);
      int k = 0;
      do {
        int length = Math.min(depth, args.inner - k);
        packA(aPanels, k, length);
        for (int j = 0; j < columns; j += packColumns()) {
          int width = Math.min(packColumns(), columns - j);
          packB(bPanels, k, length, j, width);
          multiply(aPanels, bPanels, k, length, j, width);
        }
        k += length;
      } while (k < args.inner);
    }

    /// Computes the block as a few rows of sums, `few · right`: as they are, or, where `few` is
    /// `bᵀ`, as one column.
    void runThin(MatrixView few, MatrixView right) {
      boolean transposed = few != args.a;
      int count = transposed ? 1 : rows;
      int total = transposed ? rows : columns;
      boolean dots = right.columnStride != 1;
      int step = dots ? args.inner : depth;
      float[] left = scratch.a(count * step + kernels.tileColumns());
      int stripe = count == 1 ? ROW_STRIPE : STRIPE;
      float[] sums = scratch.b(count * stripe);
      var leftSource =
          new MatmulKernels.Source(few.data, few.bfloat16, few.rowBytes(), few.columnBytes());
      var source =
          new MatmulKernels.Source(
              right.data, right.bfloat16, right.columnBytes(), right.rowBytes());
      for (int j = 0; j < total; j += stripe) {
        int width = Math.min(stripe, total - j);
        int k = 0;
        do {
          int length = Math.min(step, args.inner - k);
          long start = right.byteOffset(batch, k, (transposed ? row : column) + j);
          if (dots) {
            for (int i = 0; i < count; i++) {
              kernels.pack(left, i * length, 1, 1, length, leftSource, few.byteOffset(batch, i, k));
            }
            kernels.dot(left, count, source, start, width, length, sums, stripe);
          } else {
            kernels.pack(left, 0, count, count, length, leftSource, few.byteOffset(batch, 0, k));
            kernels.multiplyUnpacked(left, count, source, start, width, length, sums, stripe);
          }
          boolean last = k + length >= args.inner;
          if (transposed) {
            finish(sums, 1, j, width, 0, 1, k == 0, last);
          } else {
            finish(sums, stripe, 0, count, j, width, k == 0, last);
          }
          k += length;
        } while (k < args.inner);
      }
    }

    private void packA(float[] aPanels, int k, int length) {
      for (int i = 0, height; i < rows; i += height) {
        height = kernels.panelRows(rows - i);
        kernels.pack(
            aPanels,
            i * length,
            height,
            Math.min(height, rows - i),
            length,
            aSource,
            args.a.byteOffset(batch, row + i, k));
      }
    }

    private void packB(float[] bPanels, int k, int length, int j, int width) {
      for (int p = 0, panel; p < width; p += panel) {
        panel = kernels.panelColumns(width - p);
        kernels.pack(
            bPanels,
            p * length,
            panel,
            Math.min(panel, width - p),
            length,
            bSource,
            args.b.byteOffset(batch, k, column + j + p));
      }
    }

    private void multiply(float[] aPanels, float[] bPanels, int k, int length, int j, int width) {
      boolean first = k == 0;
      boolean last = k + length >= args.inner;
      int lane = kernels.tileColumns();
      for (int p = 0, panel; p < width; p += panel) {
        panel = kernels.panelColumns(width - p);
        int validColumns = Math.min(panel, width - p);
        for (int i = 0, height; i < rows; i += height) {
          height = kernels.panelRows(rows - i);
          kernels.multiply(
              aPanels, i * length, height, bPanels, p * length, panel, length, tile, 0);
          finish(tile, lane, i, Math.min(height, rows - i), j + p, validColumns, first, last);
        }
      }
    }

    /// Takes a tile at `(i, j)` of this block to `y`, or to the partial sums.
    private void finish(
        float[] t,
        int pitch,
        int i,
        int validRows,
        int j,
        int validColumns,
        boolean first,
        boolean last) {
      long at = partialStart + i * partialStride + j * 4L;
      if (last && args.hasEpilogue()) {
        if (!first || (args.accumulate && !args.y.bfloat16)) {
          kernels.load(t, pitch, validRows, validColumns, partial, at, partialStride);
        }
        epilogue(t, pitch, i, validRows, j, validColumns);
      } else if (first && !(args.accumulate && !args.y.bfloat16)) {
        kernels.store(t, pitch, validRows, validColumns, partial, at, partialStride);
      } else {
        kernels.addStore(t, pitch, validRows, validColumns, partial, at, partialStride);
      }
    }

    private void epilogue(float[] t, int pitch, int i, int validRows, int j, int validColumns) {
      MatrixView y = args.y;
      long start = y.byteOffset(batch, row + i, column + j);
      if (args.accumulate && y.bfloat16) {
        kernels.loadBfloat16(t, pitch, validRows, validColumns, y.data, start, y.rowBytes());
      }
      if (args.bias != null) {
        kernels.addBias(t, pitch, validRows, validColumns, bias, column + j);
      }
      MatrixView pre = args.preActivation;
      if (pre != null) {
        write(t, pitch, pre, pre.byteOffset(batch, row + i, column + j), validRows, validColumns);
      }
      if (args.activation != Activation.NONE) {
        kernels.activate(t, pitch, validRows, validColumns, args.activation);
      }
      write(t, pitch, y, start, validRows, validColumns);
    }

    private void write(
        float[] t, int pitch, MatrixView view, long start, int validRows, int validColumns) {
      if (view.bfloat16) {
        kernels.storeBfloat16(t, pitch, validRows, validColumns, view.data, start, view.rowBytes());
      } else {
        kernels.store(t, pitch, validRows, validColumns, view.data, start, view.rowBytes());
      }
    }
  }

  private static int ceilDiv(int x, int y) {
    return Math.ceilDiv(x, y);
  }

  private static int roundUp(int x, int multiple) {
    return ceilDiv(x, multiple) * multiple;
  }
}
