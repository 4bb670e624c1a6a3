package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.array.Shape;
import fornax.backend.Conv2dOptions;
import fornax.backend.Extent;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// The windows that filters see of images, as columns of matrices that fit into the cache: element
/// `(k, p)` is what the filter's element `k = (channel, row, column)` meets at the position `p`.
///
/// Where the stride is 1, the positions are those of the padded image's rows, the ends of rows
/// included at which the filter would hang over: then row `k` of the matrix is one run of the
/// padded image, and the results at the ends are left out.
final class Conv2dColumns {
  /// The most elements of a matrix: with what it is multiplied by, it stays in L2.
  private static final int MAX_ELEMENTS = 1 << 17;

  /// The least columns that make up for packing the filters, where the images have them together.
  private static final int MIN_COLUMNS = 256;

  final int groups;

  /// The rows of a matrix: channels of a group × elements of the filter.
  final int depth;

  private final NdArray x;
  private final int channels;
  private final int height;
  private final int width;
  private final Extent kernel;
  private final Extent dilation;
  private final Extent stride;
  private final int top; // padding; negative: rows left out
  private final int left;
  private final int outputHeight;
  private final int outputWidth;
  private final int paddedWidth;
  private final int pitch; // the positions of a row of results
  private final int rows; // of results in a block
  private final int rowBlocks;
  private final int images; // of a block

  private Conv2dColumns(NdArray x, Shape w, Conv2dOptions options, Extent padding, NdArray y) {
    this.x = x;
    this.groups = options.groups();
    this.channels = Math.toIntExact(w.dim(1));
    this.height = Math.toIntExact(x.dim(2));
    this.width = Math.toIntExact(x.dim(3));
    this.kernel = Extent.of(Math.toIntExact(w.dim(2)), Math.toIntExact(w.dim(3)));
    this.dilation = options.dilation();
    this.stride = options.stride();
    this.top = padding.height();
    this.left = padding.width();
    this.outputHeight = Math.toIntExact(y.dim(2));
    this.outputWidth = Math.toIntExact(y.dim(3));
    this.depth = channels * kernel.height() * kernel.width();
    this.paddedWidth =
        (outputWidth - 1) * stride.width() + dilation.width() * (kernel.width() - 1) + 1;
    this.pitch = isDense() ? paddedWidth : outputWidth;
    this.rows = Math.clamp(MAX_ELEMENTS / ((long) depth * pitch), 1, outputHeight);
    this.rowBlocks = Math.ceilDiv(outputHeight, rows);
    int positions = (outputHeight - 1) * pitch + outputWidth;
    long fitting = MAX_ELEMENTS / ((long) depth * positions);
    this.images = (int) Math.clamp(Math.min(MIN_COLUMNS / positions, fitting), 1, x.dim(0));
  }

  private boolean isDense() {
    return stride.height() == 1 && stride.width() == 1;
  }

  /// The windows of the images x that give y.
  static Conv2dColumns of(NdArray x, Shape w, Conv2dOptions options, NdArray y) {
    return new Conv2dColumns(x, w, options, options.padding(), y);
  }

  /// The windows of dy that give dx, where the stride is 1.
  ///
  /// @param w the shape of the filters turned round
  static Conv2dColumns ofGradient(NdArray dy, Shape w, Conv2dOptions options, NdArray dx) {
    Extent dilation = options.dilation();
    Extent padding =
        Extent.of(
            dilation.height() * (int) (w.dim(2) - 1) - options.padding().height(),
            dilation.width() * (int) (w.dim(3) - 1) - options.padding().width());
    return new Conv2dColumns(dy, w, options, padding, dx);
  }

  /// The number of blocks: groups inside, then rows, then images.
  int tasks() {
    return Math.ceilDiv((int) x.dim(0), images) * rowBlocks * groups;
  }

  /// Block `task`, its matrix made in this thread's scratch memory.
  Block block(int task) {
    int group = task % groups;
    int row = task / groups % rowBlocks * rows;
    int first = task / groups / rowBlocks * images;
    int end = (int) Math.min(x.dim(0), first + images);
    Block block = new Block(group, first, end, row, Math.min(outputHeight, row + rows));
    block.fill();
    return block;
  }

  /// Some rows of results of some images.
  final class Block {
    private final int group;
    private final int first;
    private final int end;
    private final int row;
    private final int endRow;
    private final int paddedRows;
    private MemorySegment matrix = MemorySegment.NULL;

    private Block(int group, int first, int end, int row, int endRow) {
      this.group = group;
      this.first = first;
      this.end = end;
      this.row = row;
      this.endRow = endRow;
      this.paddedRows =
          (endRow - row - 1) * stride.height() + dilation.height() * (kernel.height() - 1) + 1;
    }

    int group() {
      return group;
    }

    /// The first image.
    int first() {
      return first;
    }

    /// The image behind the last.
    int end() {
      return end;
    }

    /// The columns of one image.
    int positions() {
      return (endRow - row - 1) * pitch + outputWidth;
    }

    /// All columns.
    int columns() {
      return (end - first) * positions();
    }

    /// `[depth, columns]`
    MatrixView matrix() {
      return MatrixView.ofFloat32(matrix, 0, columns(), 1);
    }

    private void fill() {
      Scratch scratch = Scratch.get();
      MemorySegment padded =
          scratch.words(Scratch.CONVOLUTION, channels * paddedRows * paddedWidth);
      matrix = scratch.words(Scratch.CONVOLUTION + 1, depth * columns());
      for (int image = first; image < end; image++) {
        for (int channel = 0; channel < channels; channel++) {
          pad(image, channel, padded, 4L * channel * paddedRows * paddedWidth);
        }
        for (int k = 0; k < depth; k++) {
          int column = k % kernel.width();
          int line = k / kernel.width() % kernel.height();
          int channel = k / kernel.width() / kernel.height();
          long from =
              4L
                  * ((long) (channel * paddedRows + line * dilation.height()) * paddedWidth
                      + column * dilation.width());
          long to = 4L * ((long) k * columns() + (image - first) * positions());
          if (isDense()) {
            MemorySegment.copy(padded, from, matrix, to, 4L * positions());
          } else {
            gather(padded, from, to);
          }
        }
      }
    }

    // The rows of one channel that the block sees, with zeros round them.
    private void pad(int image, int channel, MemorySegment padded, long to) {
      long plane =
          (image * x.dim(1) + (long) group * channels + channel) * height * width
              + x.layout().offset();
      MemorySegment xs = HostBlock.segment(x);
      int from = Math.max(0, -left);
      int start = Math.max(0, left);
      int count = Math.clamp(paddedWidth - start, 0, Math.max(0, width - from));
      for (int i = 0; i < paddedRows; i++) {
        int h = row * stride.height() + i - top;
        long at = to + 4L * i * paddedWidth;
        boolean inside = h >= 0 && h < height && count > 0;
        if (!inside || count < paddedWidth) {
          padded.asSlice(at, 4L * paddedWidth).fill((byte) 0);
        }
        if (inside) {
          MemorySegment.copy(
              xs, 4 * (plane + (long) h * width + from), padded, at + 4L * start, 4L * count);
        }
      }
    }

    private void gather(MemorySegment padded, long from, long to) {
      long target = to;
      for (int i = 0; i < endRow - row; i++) {
        long source = from + 4L * i * stride.height() * paddedWidth;
        for (int j = 0; j < outputWidth; j++) {
          float value = padded.get(JAVA_FLOAT, source + 4L * j * stride.width());
          matrix.set(JAVA_FLOAT, target, value);
          target += 4;
        }
      }
    }

    /// Takes one image's results of a channel, from byte `from` on, to the plane at byte `plane`.
    void toPlane(MemorySegment results, long from, MemorySegment ys, long plane) {
      for (int i = row; i < endRow; i++) {
        MemorySegment.copy(
            results,
            from + 4L * (i - row) * pitch,
            ys,
            plane + 4L * i * outputWidth,
            4L * outputWidth);
      }
    }

    /// The block's part of `dy`, `[filters, columns]`, 0 at the ends of rows.
    MatrixView matrixOf(NdArray dy, int filters) {
      int n = columns();
      MemorySegment to = Scratch.get().words(Scratch.CONVOLUTION + 2, filters * n);
      MemorySegment from = HostBlock.segment(dy);
      if (pitch > outputWidth) {
        to.asSlice(0, 4L * filters * n).fill((byte) 0);
      }
      for (int o = 0; o < filters; o++) {
        for (int image = first; image < end; image++) {
          long plane =
              dy.layout().offset()
                  + (image * dy.dim(1) + (long) group * filters + o) * outputHeight * outputWidth;
          long at = (long) o * n + (long) (image - first) * positions();
          for (int i = row; i < endRow; i++) {
            MemorySegment.copy(
                from,
                4 * (plane + (long) i * outputWidth),
                to,
                4 * (at + (long) (i - row) * pitch),
                4L * outputWidth);
          }
        }
      }
      return MatrixView.ofFloat32(to, 0, n, 1);
    }
  }

  /// Adds what belongs to each window, `sums [depth, positions]`, up in the images' planes of one
  /// group, which x is the shape of.
  void scatter(MemorySegment sums, long image, int group, NdArray dx) {
    MemorySegment to = HostBlock.segment(dx);
    long planes =
        dx.layout().offset() + (image * dx.dim(1) + (long) group * channels) * height * width;
    to.asSlice(4 * planes, 4L * channels * height * width).fill((byte) 0);
    for (int k = 0; k < depth; k++) {
      int column = k % kernel.width() * dilation.width() - left;
      int line = k / kernel.width() % kernel.height() * dilation.height() - top;
      long plane = planes + (long) (k / kernel.width() / kernel.height()) * height * width;
      for (int i = 0; i < outputHeight; i++) {
        int h = i * stride.height() + line;
        if (h < 0 || h >= height) {
          continue;
        }
        long from = 4L * ((long) k * outputHeight + i) * outputWidth;
        for (int j = 0; j < outputWidth; j++) {
          int w = j * stride.width() + column;
          if (w >= 0 && w < width) {
            long at = 4 * (plane + (long) h * width + w);
            float value = sums.get(JAVA_FLOAT, from + 4L * j);
            to.set(JAVA_FLOAT, at, to.get(JAVA_FLOAT, at) + value);
          }
        }
      }
    }
  }
}
