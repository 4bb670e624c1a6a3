package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;

/// The largest element or the mean of windows of images, plane by plane. A gradient is added up in
/// the order of the windows.
final class Pool2d {
  private static final int COST = 2; // of an element of a window, in multiply-adds

  private final int height;
  private final int width;
  private final int outputHeight;
  private final int outputWidth;
  private final int windowHeight;
  private final int windowWidth;
  private final Pool2dOptions options;

  private Pool2d(NdArray x, NdArray y, Pool2dOptions options) {
    this.height = Math.toIntExact(x.dim(2));
    this.width = Math.toIntExact(x.dim(3));
    this.outputHeight = Math.toIntExact(y.dim(2));
    this.outputWidth = Math.toIntExact(y.dim(3));
    this.windowHeight = options.window().height();
    this.windowWidth = options.window().width();
    this.options = options;
  }

  static void max(CpuBackend b, NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    try (var work = new Workspace(b.memory())) {
      NdArray from = floats(b, work, x);
      NdArray to = y.dtype() == DType.F32 ? y : work.allocate(DType.F32, y.shape());
      Pool2d pool = new Pool2d(x, y, options);
      pool.planes(b, from, to, (xs, xo, ys, yo, plane) -> pool.max(xs, xo, ys, yo, places, plane));
      if (to != y) {
        b.copy(to, y);
      }
    }
  }

  static void maxGradient(
      CpuBackend b, NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    try (var work = new Workspace(b.memory())) {
      NdArray from = floats(b, work, dy);
      NdArray to = dx.dtype() == DType.F32 ? dx : work.allocate(DType.F32, dx.shape());
      Pool2d pool = new Pool2d(dx, dy, options);
      pool.planes(
          b, to, from, (xs, xo, ys, yo, plane) -> pool.maxGradient(xs, xo, ys, yo, places, plane));
      if (to != dx) {
        b.copy(to, dx);
      }
    }
  }

  static void mean(CpuBackend b, NdArray x, Pool2dOptions options, NdArray y) {
    try (var work = new Workspace(b.memory())) {
      NdArray from = floats(b, work, x);
      NdArray to = y.dtype() == DType.F32 ? y : work.allocate(DType.F32, y.shape());
      Pool2d pool = new Pool2d(x, y, options);
      pool.planes(b, from, to, (xs, xo, ys, yo, _) -> pool.mean(xs, xo, ys, yo));
      if (to != y) {
        b.copy(to, y);
      }
    }
  }

  static void meanGradient(CpuBackend b, NdArray dy, Pool2dOptions options, NdArray dx) {
    try (var work = new Workspace(b.memory())) {
      NdArray from = floats(b, work, dy);
      NdArray to = dx.dtype() == DType.F32 ? dx : work.allocate(DType.F32, dx.shape());
      Pool2d pool = new Pool2d(dx, dy, options);
      pool.planes(b, to, from, (xs, xo, ys, yo, _) -> pool.meanGradient(xs, xo, ys, yo));
      if (to != dx) {
        b.copy(to, dx);
      }
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

  /// Work on a plane of images, from byte `xo` on, and its plane of results, from byte `yo` on.
  private interface Plane {
    void run(MemorySegment xs, long xo, MemorySegment ys, long yo, long plane);
  }

  private void planes(CpuBackend b, NdArray x, NdArray y, Plane task) {
    MemorySegment xs = HostBlock.segment(x);
    MemorySegment ys = HostBlock.segment(y);
    long inputs = (long) height * width;
    long outputs = (long) outputHeight * outputWidth;
    b.workers()
        .parallel(
            COST * (x.elements() + y.elements() * windowHeight * windowWidth),
            Math.toIntExact(y.dim(0) * y.dim(1)),
            plane ->
                task.run(
                    xs,
                    4 * (x.layout().offset() + plane * inputs),
                    ys,
                    4 * (y.layout().offset() + plane * outputs),
                    plane));
  }

  // The first row of the image that window row `i` may meet; its end is the window's size further.
  private int top(int i) {
    return i * options.stride().height() - options.padding().height();
  }

  private int left(int j) {
    return j * options.stride().width() - options.padding().width();
  }

  private void max(
      MemorySegment xs, long xo, MemorySegment ys, long yo, NdArray places, long plane) {
    MemorySegment ps = HostBlock.segment(places);
    long po = 4 * (places.layout().offset() + plane * outputHeight * outputWidth);
    for (int i = 0; i < outputHeight; i++) {
      int top = top(i);
      int endRow = Math.min(height, top + windowHeight);
      for (int j = 0; j < outputWidth; j++) {
        int left = left(j);
        int firstRow = Math.max(0, top);
        int firstColumn = Math.max(0, left);
        int endColumn = Math.min(width, left + windowWidth);
        long largest = Long.MIN_VALUE;
        for (int row = firstRow; row < endRow; row++) {
          int place = (row - top) * windowWidth - left;
          for (int column = firstColumn; column < endColumn; column++) {
            float value = xs.get(JAVA_FLOAT, xo + 4L * (row * width + column));
            largest = Math.max(largest, key(value, place + column));
          }
        }
        int place = ~(int) largest;
        int row = top + place / windowWidth;
        int column = left + place % windowWidth;
        long at = 4L * (i * outputWidth + j);
        ys.set(JAVA_FLOAT, yo + at, xs.get(JAVA_FLOAT, xo + 4L * (row * width + column)));
        ps.set(JAVA_INT, po + at, place);
      }
    }
  }

  // Orders by value, NaN last and zeros equal, and of equals the first place last: no branch that a
  // processor would have to guess.
  private static long key(float value, int place) {
    int bits = Float.floatToIntBits(value + 0f);
    int order = bits ^ ((bits >> 31) & Integer.MAX_VALUE);
    return (long) order << 32 | (~place & 0xFFFF_FFFFL);
  }

  private void maxGradient(
      MemorySegment xs, long xo, MemorySegment ys, long yo, NdArray places, long plane) {
    MemorySegment ps = HostBlock.segment(places);
    long po = 4 * (places.layout().offset() + plane * outputHeight * outputWidth);
    xs.asSlice(xo, 4L * height * width).fill((byte) 0);
    for (int i = 0; i < outputHeight; i++) {
      int top = top(i);
      for (int j = 0; j < outputWidth; j++) {
        long from = 4L * (i * outputWidth + j);
        int place = ps.get(JAVA_INT, po + from);
        int row = top + place / windowWidth;
        int column = left(j) + place % windowWidth;
        if (row >= 0 && row < height && column >= 0 && column < width) {
          add(xs, xo + 4L * (row * width + column), ys.get(JAVA_FLOAT, yo + from));
        }
      }
    }
  }

  private static void add(MemorySegment xs, long at, float value) {
    xs.set(JAVA_FLOAT, at, xs.get(JAVA_FLOAT, at) + value);
  }

  private void mean(MemorySegment xs, long xo, MemorySegment ys, long yo) {
    float factor = (float) (1.0 / (windowHeight * windowWidth));
    for (int i = 0; i < outputHeight; i++) {
      int firstRow = Math.max(0, top(i));
      int endRow = Math.min(height, top(i) + windowHeight);
      for (int j = 0; j < outputWidth; j++) {
        int firstColumn = Math.max(0, left(j));
        int endColumn = Math.min(width, left(j) + windowWidth);
        float sum = 0;
        for (int row = firstRow; row < endRow; row++) {
          for (int column = firstColumn; column < endColumn; column++) {
            sum += xs.get(JAVA_FLOAT, xo + 4L * (row * width + column));
          }
        }
        ys.set(JAVA_FLOAT, yo + 4L * (i * outputWidth + j), sum * factor);
      }
    }
  }

  private void meanGradient(MemorySegment xs, long xo, MemorySegment ys, long yo) {
    float factor = (float) (1.0 / (windowHeight * windowWidth));
    xs.asSlice(xo, 4L * height * width).fill((byte) 0);
    for (int i = 0; i < outputHeight; i++) {
      int firstRow = Math.max(0, top(i));
      int endRow = Math.min(height, top(i) + windowHeight);
      for (int j = 0; j < outputWidth; j++) {
        int firstColumn = Math.max(0, left(j));
        int endColumn = Math.min(width, left(j) + windowWidth);
        float part = factor * ys.get(JAVA_FLOAT, yo + 4L * (i * outputWidth + j));
        for (int row = firstRow; row < endRow; row++) {
          for (int column = firstColumn; column < endColumn; column++) {
            add(xs, xo + 4L * (row * width + column), part);
          }
        }
      }
    }
  }
}
