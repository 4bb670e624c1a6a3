package fornax.backend;

import fornax.array.DType;
import fornax.array.Shape;

/// The default bodies of pooling.
final class Pool2dBody {
  private static final Extent DENSE = Extent.of(1);

  private Pool2dBody() {}

  private static Windows windows(Pool2dOptions options) {
    return new Windows(options.stride(), options.padding(), DENSE);
  }

  static void max(Backend b, NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    Windows windows = windows(options);
    Extent output = Conv2dBody.extent(y);
    Extent window = options.window();
    try (var work = new Workspace(b.memory())) {
      NdArray padded = windows.pad(b, work, x, Double.NEGATIVE_INFINITY);
      NdArray seen = windows.all(padded, window, output).permute(0, 1, 4, 5, 2, 3);
      Shape rows = y.shape().insert(-1, (long) window.height() * window.width());
      NdArray candidates = work.allocate(x.dtype(), rows);
      b.copy(seen, candidates.reshape(seen.shape()));
      NdArray place = places.reshape(rows.with(-1, 1));
      b.argmax(candidates, 4, place);
      b.gather(candidates, 4, place, y.reshape(place.shape()));
    }
  }

  static void maxGradient(
      Backend b, NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    Windows windows = windows(options);
    Extent output = Conv2dBody.extent(dy);
    try (var work = new Workspace(b.memory())) {
      DType type = Backend.arithmetic(dx);
      NdArray sum = windows.zeros(b, work, type, dx.shape());
      NdArray chosen = work.allocate(DType.BOOL, dy.shape());
      NdArray part = work.allocate(dy.dtype(), dy.shape());
      NdArray zero = b.constant(work, dy.dtype(), 0, dy.shape());
      int width = options.window().width();
      for (int place = 0; place < options.window().height() * width; place++) {
        NdArray met = windows.at(sum, place / width, place % width, output);
        b.compare(Compare.EQUAL, places, place, chosen);
        b.where(chosen, dy, zero, part);
        b.binary(Binary.ADD, met, part, met);
      }
      b.copy(windows.inside(sum), dx);
    }
  }

  static void mean(Backend b, NdArray x, Pool2dOptions options, NdArray y) {
    Windows windows = windows(options);
    Extent output = Conv2dBody.extent(y);
    try (var work = new Workspace(b.memory())) {
      NdArray padded = windows.pad(b, work, x, 0);
      NdArray sum = work.allocate(Backend.arithmetic(x), y.shape());
      int width = options.window().width();
      int places = options.window().height() * width;
      b.fill(sum, 0);
      for (int place = 0; place < places; place++) {
        b.binary(Binary.ADD, sum, windows.at(padded, place / width, place % width, output), sum);
      }
      b.binary(Binary.MULTIPLY, sum, 1.0 / places, y);
    }
  }

  static void meanGradient(Backend b, NdArray dy, Pool2dOptions options, NdArray dx) {
    Windows windows = windows(options);
    Extent output = Conv2dBody.extent(dy);
    try (var work = new Workspace(b.memory())) {
      NdArray sum = windows.zeros(b, work, Backend.arithmetic(dx), dx.shape());
      int width = options.window().width();
      int places = options.window().height() * width;
      for (int place = 0; place < places; place++) {
        NdArray met = windows.at(sum, place / width, place % width, output);
        b.binary(Binary.ADD, met, dy, met);
      }
      b.binary(Binary.MULTIPLY, windows.inside(sum), 1.0 / places, dx);
    }
  }
}
