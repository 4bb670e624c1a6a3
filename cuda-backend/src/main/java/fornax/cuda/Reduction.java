package fornax.cuda;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.NdArray;
import fornax.backend.Reduce;
import fornax.backend.Workspace;
import java.util.ArrayList;
import java.util.List;

/// Launches of `reduction.cu`, `argmax.cu`, `scan.cu`, `sort.cu` and `topk.cu`.
final class Reduction {
  /// The most elements that one block folds.
  private static final long ROW_CHUNK = 1 << 16;

  private static final int SORT_TILE = 1024; // of sort.cu
  private static final long MAX_GRID_Y = 65535;

  private final CudaDevice device;

  Reduction(CudaDevice device) {
    this.device = device;
  }

  /// An axis of a loop over x and y.
  private record Axis(long dim, long x, long y) {}

  void reduce(Reduce op, NdArray x, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    StridedLoop loop = StridedLoop.of(x.layout(), y.layout().expand(x.shape()));
    List<Axis> kept = new ArrayList<>();
    List<Axis> reduced = new ArrayList<>();
    for (int d = 0; d < loop.rank(); d++) {
      Axis axis = new Axis(loop.dims()[d], loop.strides()[0][d], loop.strides()[1][d]);
      (axis.y() == 0 ? reduced : kept).add(axis);
    }
    boolean alongRows =
        loop.rank() > 0 && loop.strides()[1][loop.rank() - 1] == 0; // the innermost is reduced
    String name = Elementwise.lower(op) + (y.dtype() == DType.I32 ? "_i32" : "_f32");
    reduce(
        name,
        new Operand(CudaBlock.address(x), CudaDevice.type(x)),
        new Operand(CudaBlock.address(y), CudaDevice.type(y)),
        kept,
        reduced,
        alongRows);
  }

  private record Operand(long address, int type) {}

  private void reduce(
      String name, Operand x, Operand y, List<Axis> kept, List<Axis> reduced, boolean alongRows) {
    long outputs = product(kept);
    long count = product(reduced);
    long chunk = alongRows ? rowChunk(outputs, count) : columnChunk(outputs, count);
    long chunks = Math.max(1, (count + chunk - 1) / chunk);
    if (chunks == 1) {
      launch(name, x, y, kept, reduced, alongRows, chunk, 1);
      return;
    }
    boolean integers = name.endsWith("i32");
    try (var work = new Workspace(device.memory())) {
      NdArray partials = work.allocate(integers ? DType.I32 : DType.F32, Shape.of(outputs, chunks));
      Operand middle = new Operand(CudaBlock.address(partials), CudaDevice.type(partials));
      launch(name, x, middle, kept, reduced, alongRows, chunk, chunks);
      // [outputs, chunks] behind rows, [chunks, outputs] behind columns.
      List<Axis> rest = new ArrayList<>();
      long step = alongRows ? chunks : 1;
      for (Axis axis : kept.reversed()) {
        rest.addFirst(new Axis(axis.dim(), step, axis.y()));
        step *= axis.dim();
      }
      List<Axis> last = List.of(new Axis(chunks, alongRows ? 1 : outputs, 0));
      reduce(name, middle, y, rest, last, alongRows);
    }
  }

  private static long rowChunk(long outputs, long count) {
    long chunk = outputs < 256 && count > 1 << 14 ? 1 << 13 : ROW_CHUNK;
    return Math.max(chunk, (count + MAX_GRID_Y - 1) / MAX_GRID_Y);
  }

  // Enough blocks to fill a card, but at least 128 elements to a chunk.
  static long columnChunk(long outputs, long count) {
    long tiles = (outputs + 31) / 32;
    long chunks = Math.max(1, Math.min(count / 128, 1024 / tiles));
    return Math.max(1, (count + chunks - 1) / chunks);
  }

  private void launch(
      String name,
      Operand x,
      Operand y,
      List<Axis> kept,
      List<Axis> reduced,
      boolean alongRows,
      long chunk,
      long chunks) {
    long outputs = product(kept);
    long count = product(reduced);
    boolean block = count > 1024;
    String kernel = alongRows ? (block ? "reduce_block_" : "reduce_warp_") : "reduce_columns_";
    int width = alongRows && block ? 256 : 32;
    int height = 256 / width;
    device
        .kernel("reduce", "reduction", kernel + name)
        .address(x.address())
        .integer(x.type())
        .address(y.address())
        .integer(y.type())
        .loop(loop(kept, true))
        .loop(loop(reduced, false))
        .size(outputs)
        .size(count)
        .size(chunk)
        .run(
            alongRows ? (outputs + height - 1) / height : (outputs + 31) / 32,
            chunks,
            1,
            width,
            height);
  }

  private static long product(List<Axis> axes) {
    long product = 1;
    for (Axis axis : axes) {
      product *= axis.dim();
    }
    return product;
  }

  private static StridedLoop loop(List<Axis> axes, boolean withY) {
    long[] dims = axes.stream().mapToLong(Axis::dim).toArray();
    long[] xs = axes.stream().mapToLong(Axis::x).toArray();
    long[] ys = axes.stream().mapToLong(Axis::y).toArray();
    return new StridedLoop(
        dims, withY ? new long[][] {xs, ys} : new long[][] {xs}, new long[withY ? 2 : 1], 0);
  }

  void argmax(NdArray x, int axis, NdArray y) {
    Layout rows = StridedLoop.without(x.layout(), axis);
    if (y.elements() == 0) {
      return;
    }
    for (StridedLoop loop : StridedLoop.of(rows, StridedLoop.without(y.layout(), axis)).pieces()) {
      device
          .kernel("argmax", "argmax", "argmax")
          .arrayAt(x, loop.offsets()[0])
          .integer(CudaDevice.type(x))
          .arrayAt(y, loop.offsets()[1])
          .number(x.layout().stride(axis))
          .size(x.dim(axis))
          .loop(loop)
          .run(loop.elements(), 1, 1, 256, 1);
    }
  }

  void cumulativeSum(NdArray x, int axis, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    StridedLoop whole =
        StridedLoop.of(
            StridedLoop.without(x.layout(), axis), StridedLoop.without(y.layout(), axis));
    String type = y.dtype() == DType.I32 ? "i32" : "f32";
    for (StridedLoop loop : whole.pieces()) {
      device
          .kernel("cumulativeSum", "scan", "cumulative_sum_" + type)
          .arrayAt(x, loop.offsets()[0])
          .integer(CudaDevice.type(x))
          .arrayAt(y, loop.offsets()[1])
          .integer(CudaDevice.type(y))
          .number(x.layout().stride(axis))
          .number(y.layout().stride(axis))
          .size(x.dim(axis))
          .loop(loop)
          .run(loop.elements(), 1, 1, 256, 1);
    }
  }

  void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    if (x.elements() == 0) {
      return;
    }
    long n = x.dim(-1);
    long rows = x.elements() / n;
    long step = Math.min(rows, MAX_GRID_Y);
    try (var work = new Workspace(device.memory())) {
      // A key is two words of 32 bits.
      NdArray from = work.allocate(DType.I32, Shape.of(step * n * 2));
      NdArray to = n > SORT_TILE ? work.allocate(DType.I32, from.shape()) : from;
      for (long row = 0; row < rows; row += step) {
        sortRows(x, descending, values, indices, from, to, row, Math.min(step, rows - row));
      }
    }
  }

  private void sortRows(
      NdArray x,
      boolean descending,
      NdArray values,
      NdArray indices,
      NdArray keys,
      NdArray spare,
      long first,
      long rows) {
    long n = x.dim(-1);
    NdArray from = keys;
    NdArray to = spare;
    device
        .kernel("sort", "sort", "sort_tiles")
        .arrayAt(x, x.layout().offset() + first * n)
        .integer(CudaDevice.type(x))
        .integer(descending ? 1 : 0)
        .array(from)
        .size(n)
        .run((n + SORT_TILE - 1) / SORT_TILE, rows, 1, 256, 1);
    for (long width = SORT_TILE; width < n; width *= 2) {
      device
          .kernel("sort", "sort", "sort_merge")
          .array(from)
          .array(to)
          .size(width)
          .size(n)
          .run((n + 255) / 256, rows, 1, 256, 1);
      NdArray merged = to;
      to = from;
      from = merged;
    }
    device
        .kernel("sort", "sort", "sort_finish")
        .arrayAt(x, x.layout().offset() + first * n)
        .integer(CudaDevice.type(x))
        .array(from)
        .arrayAt(values, values.layout().offset() + first * n)
        .arrayAt(indices, indices.layout().offset() + first * n)
        .size(n)
        .run((n + 255) / 256, rows, 1, 256, 1);
  }

  void topK(NdArray x, NdArray values, NdArray indices) {
    if (values.elements() == 0) {
      return;
    }
    long n = x.dim(-1);
    device
        .kernel("topK", "topk", "top_k")
        .array(x)
        .integer(CudaDevice.type(x))
        .array(values)
        .array(indices)
        .size(n)
        .size(values.dim(-1))
        .run(x.elements() / n, 1, 1, 256, 1);
  }
}
