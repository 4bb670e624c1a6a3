package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Convolution as products of matrices: filters are rows, and the windows of a few images at a time
/// are columns, which stay in the cache; see [Conv2dColumns].
///
/// Work is cut by images and shapes alone, and partial gradients of the filters are combined in
/// their order, so bits do not depend on the number of threads.
final class Conv2d {
  /// The most parts that images are cut into for the gradient of the filters.
  private static final int MAX_PARTS = 16;

  /// The most bytes of those parts' sums.
  private static final long MAX_PART_BYTES = 64L << 20;

  private Conv2d() {}

  static void forward(
      CpuBackend b,
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      Conv2dOptions options,
      NdArray y) {
    try (var work = new Workspace(b.memory())) {
      NdArray result = y.dtype() == DType.F32 ? y : work.allocate(DType.F32, y.shape());
      Conv2dColumns columns = Conv2dColumns.of(floats(b, work, x), w.shape(), options, result);
      correlate(
          b, columns, floats(b, work, w), bias == null ? null : floats(b, work, bias), result);
      if (result != y) {
        b.copy(result, y);
      }
    }
  }

  // y = w·columns + bias
  private static void correlate(
      CpuBackend b, Conv2dColumns columns, NdArray w, @Nullable NdArray bias, NdArray y) {
    int filters = Math.toIntExact(w.dim(0) / columns.groups);
    int depth = columns.depth;
    MemorySegment ws = HostBlock.segment(w);
    MemorySegment ys = HostBlock.segment(y);
    b.workers()
        .parallel(
            w.elements() * y.dim(0) * y.dim(2) * y.dim(3),
            columns.tasks(),
            task -> {
              Conv2dColumns.Block block = columns.block(task);
              int n = block.columns();
              MatrixView rows =
                  MatrixView.ofFloat32(
                      ws, w.layout().offset() + (long) block.group() * filters * depth, depth, 1);
              MemorySegment out = Scratch.get().words(Scratch.CONVOLUTION + 2, filters * n);
              Matmul.run(
                  b.workers(),
                  new MatmulArgs(
                      new int[] {1, filters, depth, n},
                      rows,
                      block.matrix(),
                      MatrixView.ofFloat32(out, 0, n, 1)));
              for (int o = 0; o < filters; o++) {
                long channel = (long) block.group() * filters + o;
                long from = 4L * o * n;
                if (bias != null) {
                  float shift =
                      HostBlock.segment(bias)
                          .get(JAVA_FLOAT, 4 * (bias.layout().offset() + channel));
                  RowKernels.subtract(out, from, -shift, out, from, n);
                }
                for (int image = block.first(); image < block.end(); image++) {
                  long plane = (image * y.dim(1) + channel) * y.dim(2) * y.dim(3);
                  block.toPlane(
                      out,
                      from + 4L * (image - block.first()) * block.positions(),
                      ys,
                      4 * (y.layout().offset() + plane));
                }
              }
            });
  }

  static void inputGradient(
      CpuBackend b, NdArray dy, NdArray w, Conv2dOptions options, NdArray dx) {
    try (var work = new Workspace(b.memory())) {
      NdArray result = dx.dtype() == DType.F32 ? dx : work.allocate(DType.F32, dx.shape());
      NdArray from = floats(b, work, dy);
      NdArray filters = floats(b, work, w);
      if (options.stride().equals(Extent.of(1))) {
        NdArray turned = turned(b, work, filters, options.groups());
        Conv2dColumns columns = Conv2dColumns.ofGradient(from, turned.shape(), options, result);
        correlate(b, columns, turned, null, result);
      } else {
        scatter(b, Conv2dColumns.of(result, w.shape(), options, from), filters, from, result);
      }
      if (result != dx) {
        b.copy(result, dx);
      }
    }
  }

  // The filters with inputs and outputs exchanged, and rows and columns turned round: what takes
  // dy to dx where the stride is 1. [O, C/G, h, w] → [C, O/G, h, w].
  private static NdArray turned(CpuBackend b, Workspace work, NdArray w, int groups) {
    int filters = Math.toIntExact(w.dim(0) / groups);
    int channels = Math.toIntExact(w.dim(1));
    int size = Math.toIntExact(w.dim(2) * w.dim(3));
    NdArray turned =
        work.allocate(DType.F32, Shape.of((long) groups * channels, filters, w.dim(2), w.dim(3)));
    MemorySegment from = HostBlock.segment(w);
    MemorySegment to = HostBlock.segment(turned);
    b.workers()
        .parallel(
            4 * w.elements(),
            groups * channels,
            task -> {
              int group = task / channels;
              int channel = task % channels;
              for (int o = 0; o < filters; o++) {
                long source =
                    w.layout().offset()
                        + ((long) (group * filters + o) * channels + channel) * size;
                long target = turned.layout().offset() + ((long) task * filters + o) * size;
                for (int i = 0; i < size; i++) {
                  to.set(
                      JAVA_FLOAT,
                      4 * (target + size - 1 - i),
                      from.get(JAVA_FLOAT, 4 * (source + i)));
                }
              }
            });
    return turned;
  }

  // dx = the columns wᵀ·dy, added up where the windows lay.
  private static void scatter(
      CpuBackend b, Conv2dColumns columns, NdArray w, NdArray dy, NdArray dx) {
    int filters = Math.toIntExact(w.dim(0) / columns.groups);
    int depth = columns.depth;
    int positions = Math.toIntExact(dy.dim(2) * dy.dim(3));
    b.workers()
        .parallel(
            w.elements() * dy.dim(0) * positions,
            Math.toIntExact(dy.dim(0) * columns.groups),
            task -> {
              long image = task / columns.groups;
              int group = task % columns.groups;
              MemorySegment sums = Scratch.get().words(Scratch.CONVOLUTION + 1, depth * positions);
              long filterAt = w.layout().offset() + (long) group * filters * depth;
              long dyAt =
                  dy.layout().offset() + (image * dy.dim(1) + (long) group * filters) * positions;
              Matmul.run(
                  b.workers(),
                  new MatmulArgs(
                      new int[] {1, depth, filters, positions},
                      MatrixView.ofFloat32(HostBlock.segment(w), filterAt, 1, depth),
                      MatrixView.ofFloat32(HostBlock.segment(dy), dyAt, positions, 1),
                      MatrixView.ofFloat32(sums, 0, positions, 1)));
              columns.scatter(sums, image, group, dx);
            });
  }

  static void weightGradient(
      CpuBackend b, NdArray x, NdArray dy, Conv2dOptions options, NdArray dw, boolean accumulate) {
    try (var work = new Workspace(b.memory())) {
      NdArray from = floats(b, work, dy);
      Conv2dColumns columns = Conv2dColumns.of(floats(b, work, x), dw.shape(), options, from);
      int filters = Math.toIntExact(dw.dim(0) / columns.groups);
      int depth = columns.depth;
      int blocks = columns.tasks() / columns.groups;
      int most = Math.clamp(MAX_PART_BYTES / (4 * dw.elements()), 1, MAX_PARTS);
      int perPart = Math.ceilDiv(blocks, Math.min(blocks, most));
      int parts = Math.ceilDiv(blocks, perPart);
      NdArray sums = work.allocate(DType.F32, Shape.of(parts, dw.elements()));
      b.workers()
          .parallel(
              dw.elements() * dy.dim(0) * dy.dim(2) * dy.dim(3),
              parts * columns.groups,
              task -> {
                int part = task / columns.groups;
                int group = task % columns.groups;
                long at =
                    sums.layout().offset() + part * dw.elements() + (long) group * filters * depth;
                for (int i = part * perPart; i < Math.min(blocks, (part + 1) * perPart); i++) {
                  Conv2dColumns.Block block = columns.block(i * columns.groups + group);
                  int n = block.columns();
                  MatmulArgs args =
                      new MatmulArgs(
                          new int[] {1, filters, n, depth},
                          block.matrixOf(from, filters),
                          block.matrix().transposed(),
                          MatrixView.ofFloat32(HostBlock.segment(sums), at, depth, 1));
                  args.accumulate = i > part * perPart;
                  Matmul.run(b.workers(), args);
                }
              });
      ColumnSums.combine(b, sums, dw, accumulate);
    }
  }

  private static NdArray floats(CpuBackend b, Workspace work, NdArray x) {
    if (x.dtype() == DType.F32) {
      return x;
    }
    NdArray copy = work.allocate(DType.F32, x.shape());
    b.copy(x, copy);
    return copy;
  }
}
