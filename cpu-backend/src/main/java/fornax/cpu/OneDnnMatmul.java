package fornax.cpu;

import fornax.array.DType;
import fornax.backend.Unary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Products of BF16 matrices by oneDNN: the processor's own BF16 instructions, sums in F32, one
/// rounding at the end, as [Matmul] does it.
///
/// `y` is cut into blocks by its shape alone, one task of [Workers] each, and each task is one call
/// in one thread. So the bits of a result depend neither on the number of threads nor on which
/// thread came first. They are other bits than those of [Matmul], which adds in another order.
final class OneDnnMatmul {
  /// Below this many rows, columns or products of a sum, [Matmul] is as fast, or reads in place.
  private static final int MIN_SIZE = 16;

  /// Multiply-adds below which a call costs more than it saves.
  private static final long MIN_WORK = 1 << 18;

  /// A block has at most this many rows: with them in L2, what is packed of `b` is used often.
  private static final int MAX_ROWS = 1024;

  /// The same where the block waits in F32 for an activation: it and the rows stay in L2.
  private static final int MAX_EPILOGUE_ROWS = 256;

  private static final int MAX_COLUMNS = 256;

  /// Blocks are not cut smaller than this to make more of them.
  private static final int MIN_BLOCK = 128;

  /// The blocks that a product should have, so that many threads have work.
  private static final int BLOCKS = 16;

  /// The primitives a thread keeps.
  private static final int KEPT = 256;

  private final OneDnn api;
  private final ThreadLocal<Caller> callers = ThreadLocal.withInitial(this::newCaller);

  OneDnnMatmul(OneDnn api) {
    this.api = api;
  }

  private Caller newCaller() {
    return new Caller(api);
  }

  /// Whether [#run] takes the product; by shapes, types and layouts alone, so that the same product
  /// is always computed by the same code.
  static boolean takes(MatmulArgs args) {
    return args.a.bfloat16
        && args.b.bfloat16
        && Math.min(args.rows, Math.min(args.columns, args.inner)) >= MIN_SIZE
        && (long) args.rows * args.columns * args.inner >= MIN_WORK
        && isPlain(args.a, args.rows, args.inner)
        && isPlain(args.b, args.inner, args.columns)
        && args.y.rowStride >= args.columns
        && (args.bias == null || args.bias.columnStride == 1)
        && !(args.accumulate && args.hasActivation());
  }

  // Rows or columns are contiguous and do not overlap.
  private static boolean isPlain(MatrixView x, int rows, int columns) {
    return x.columnStride == 1 && x.rowStride >= columns
        || x.rowStride == 1 && x.columnStride >= rows;
  }

  /// Computes what [#takes].
  void run(Workers workers, MatmulArgs args) {
    Cut cut = Cut.of(args);
    long work = (long) args.rows * args.columns * args.inner * args.batch;
    workers.parallel(
        work,
        Math.multiplyExact(cut.blocks(), args.batch),
        task -> {
          int batch = task / cut.blocks();
          int block = task % cut.blocks();
          int row = block / cut.columnBlocks * cut.rows;
          int column = block % cut.columnBlocks * cut.columns;
          callers
              .get()
              .multiply(
                  args,
                  batch,
                  row,
                  Math.min(cut.rows, args.rows - row),
                  column,
                  Math.min(cut.columns, args.columns - column));
        });
  }

  /// The blocks of a product: a function of its shape, not of the number of threads.
  record Cut(int rows, int columns, int rowBlocks, int columnBlocks) {
    static Cut of(MatmulArgs args) {
      int maxRows = args.hasActivation() ? MAX_EPILOGUE_ROWS : MAX_ROWS;
      int rowBlocks = Math.ceilDiv(args.rows, maxRows);
      int columnBlocks = Math.ceilDiv(args.columns, MAX_COLUMNS);
      while ((long) rowBlocks * columnBlocks * args.batch < BLOCKS) {
        int rows = args.rows / rowBlocks;
        int columns = args.columns / columnBlocks;
        if (Math.max(rows, columns) < 2 * MIN_BLOCK) {
          break;
        }
        if (rows >= columns) {
          rowBlocks *= 2;
        } else {
          columnBlocks *= 2;
        }
      }
      int rows = roundUp(Math.ceilDiv(args.rows, rowBlocks), 16);
      int columns = roundUp(Math.ceilDiv(args.columns, columnBlocks), 64);
      return new Cut(
          rows, columns, Math.ceilDiv(args.rows, rows), Math.ceilDiv(args.columns, columns));
    }

    int blocks() {
      return rowBlocks * columnBlocks;
    }

    private static int roundUp(int x, int multiple) {
      return Math.ceilDiv(x, multiple) * multiple;
    }
  }

  /// What a primitive is made for: sizes, strides in elements, and types.
  private record Key(
      int rows,
      int inner,
      int columns,
      long aRow,
      long aColumn,
      long bRow,
      long bColumn,
      long yRow,
      int yType,
      int biasType,
      boolean accumulate) {}

  /// A primitive with its arguments, for one thread.
  private static final class Product {
    final MemorySegment primitive;
    final MemorySegment a;
    final MemorySegment b;
    final MemorySegment y;
    final @Nullable MemorySegment bias;
    final MemorySegment scratchpad;
    final long scratchpadBytes;
    final MemorySegment arguments;

    Product(OneDnn api, Key key) {
      Arena kept = Arena.ofAuto();
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment aMatrix =
            api.matrix(arena, key.rows, key.inner, key.aRow, key.aColumn, OneDnn.BF16);
        MemorySegment bMatrix =
            api.matrix(arena, key.inner, key.columns, key.bRow, key.bColumn, OneDnn.BF16);
        MemorySegment yMatrix = api.matrix(arena, key.rows, key.columns, key.yRow, 1, key.yType);
        MemorySegment biasMatrix =
            key.biasType == 0
                ? null
                : api.matrix(arena, 1, key.columns, key.columns, 1, key.biasType);
        MemorySegment descriptor =
            api.matmul(arena, aMatrix, bMatrix, biasMatrix, yMatrix, key.accumulate);
        MemorySegment scratch = api.scratchpad(descriptor);
        primitive = api.primitive(kept, descriptor);
        a = api.memory(kept, aMatrix);
        b = api.memory(kept, bMatrix);
        y = api.memory(kept, yMatrix);
        bias = biasMatrix == null ? null : api.memory(kept, biasMatrix);
        scratchpad = api.memory(kept, scratch);
        scratchpadBytes = api.size(scratch);
      }
      arguments = kept.allocate(16L * (bias == null ? 4 : 5), 8);
      argument(0, OneDnn.SOURCE, a);
      argument(1, OneDnn.WEIGHTS, b);
      argument(2, OneDnn.RESULT, y);
      argument(3, OneDnn.SCRATCHPAD, scratchpad);
      if (bias != null) {
        argument(4, OneDnn.BIAS, bias);
      }
    }

    private void argument(int index, int name, MemorySegment memory) {
      arguments.set(ValueLayout.JAVA_INT, 16L * index, name);
      arguments.set(ValueLayout.ADDRESS, 16L * index + 8, memory);
    }
  }

  /// What one thread has: a stream, the primitives it used last, and buffers.
  private static final class Caller {
    private final OneDnn api;
    private final MemorySegment stream;
    private final Map<Key, Product> products =
        new LinkedHashMap<>(16, 0.75f, true) {
          @Override
          protected boolean removeEldestEntry(Map.Entry<Key, Product> eldest) {
            return size() > KEPT;
          }
        };
    private MemorySegment scratchpad = MemorySegment.NULL;
    private MemorySegment block = MemorySegment.NULL;

    Caller(OneDnn api) {
      this.api = api;
      this.stream = api.stream(Arena.ofAuto());
    }

    void multiply(MatmulArgs args, int batch, int row, int rows, int column, int columns) {
      boolean activates = args.hasActivation();
      MatrixView y = args.y;
      long blockStride = Math.ceilDiv(columns, 16) * 16L; // kernels of rows take whole vectors
      MatrixView bias = args.bias;
      Product product =
          product(
              new Key(
                  rows,
                  args.inner,
                  columns,
                  args.a.rowStride,
                  args.a.columnStride,
                  args.b.rowStride,
                  args.b.columnStride,
                  activates ? blockStride : y.rowStride,
                  activates ? OneDnn.F32 : type(y),
                  bias == null ? 0 : type(bias),
                  args.accumulate));
      api.setData(product.a, at(args.a, batch, row, 0));
      api.setData(product.b, at(args.b, batch, 0, column));
      if (activates) {
        block = grown(block, 4 * rows * blockStride);
        api.setData(product.y, block);
      } else {
        api.setData(product.y, at(y, batch, row, column));
      }
      if (product.bias != null && bias != null) {
        api.setData(product.bias, at(bias, batch, 0, column));
      }
      scratchpad = grown(scratchpad, product.scratchpadBytes);
      api.setData(product.scratchpad, scratchpad);
      api.execute(product.primitive, stream, product.arguments);
      if (activates) {
        activate(args, batch, row, rows, column, columns, 4 * blockStride);
      }
    }

    private Product product(Key key) {
      Product product = products.get(key);
      if (product == null) {
        product = new Product(api, key);
        products.put(key, product);
      }
      return product;
    }

    private static int type(MatrixView x) {
      return x.bfloat16 ? OneDnn.BF16 : OneDnn.F32;
    }

    private static MemorySegment at(MatrixView x, int batch, int row, int column) {
      return x.data.asSlice(x.byteOffset(batch, row, column));
    }

    private static MemorySegment grown(MemorySegment buffer, long bytes) {
      return buffer.byteSize() >= bytes ? buffer : Arena.ofAuto().allocate(bytes, 64);
    }

    // Takes the block, which is in the cache, to the pre-activation and through the activation.
    private void activate(
        MatmulArgs args, int batch, int row, int rows, int column, int columns, long rowBytes) {
      Unary activation =
          switch (args.activation) {
            case RELU -> Unary.RELU;
            case GELU_TANH -> Unary.GELU_TANH;
            case GELU_ERF -> Unary.GELU_ERF;
            case NONE -> null;
          };
      for (int i = 0; i < rows; i++) {
        long from = i * rowBytes;
        if (args.preActivation != null) {
          write(from, columns, args.preActivation, batch, row + i, column);
        }
        if (activation != null) {
          UnaryKernels.run(activation, block, from, block, from, columns);
        }
        write(from, columns, args.y, batch, row + i, column);
      }
    }

    private void write(long from, int columns, MatrixView y, int batch, int row, int column) {
      long to = y.byteOffset(batch, row, column);
      DType type = y.bfloat16 ? DType.BF16 : DType.F32;
      Words.write(type, false, block, from, columns, y.data, to / y.elementBytes(), 1);
    }
  }
}
