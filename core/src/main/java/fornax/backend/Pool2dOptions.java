package fornax.backend;

/// How a window that takes the largest element or the mean moves over an image.
///
/// @param window its size, at least 1
/// @param stride how far it moves at a time, at least 1
/// @param padding how much is put before and behind each axis, at most half the window: −∞ for the
///   largest, 0 (which counts) for the mean
public record Pool2dOptions(Extent window, Extent stride, Extent padding) {
  public Pool2dOptions {
    if (!window.isAtLeast(1)
        || !stride.isAtLeast(1)
        || !padding.isAtLeast(0)
        || padding.height() > window.height() / 2
        || padding.width() > window.width() / 2) {
      throw new IllegalArgumentException(
          "pool2d: options out of range; got window "
              + window
              + ", stride "
              + stride
              + ", padding "
              + padding
              + "; need window and stride of at least 1, and padding of 0 to half the window");
    }
  }

  /// Square windows side by side, without padding.
  public static Pool2dOptions of(int window) {
    return of(Extent.of(window));
  }

  /// Windows side by side, without padding.
  public static Pool2dOptions of(Extent window) {
    return new Pool2dOptions(window, window, Extent.of(0));
  }

  public Pool2dOptions withStride(int size) {
    return withStride(Extent.of(size));
  }

  public Pool2dOptions withStride(Extent other) {
    return new Pool2dOptions(window, other, padding);
  }

  public Pool2dOptions withPadding(int size) {
    return withPadding(Extent.of(size));
  }

  public Pool2dOptions withPadding(Extent other) {
    return new Pool2dOptions(window, stride, other);
  }

  /// The size of the result for an image of the height and width `image`; below 1 where the window
  /// does not fit into the padded image.
  public Extent output(Extent image) {
    return new Extent(
        Conv2dOptions.output(image.height(), window.height(), stride.height(), padding.height(), 1),
        Conv2dOptions.output(image.width(), window.width(), stride.width(), padding.width(), 1));
  }
}
