package fornax.backend;

import fornax.array.ShapeException;

/// How a convolution moves over an image.
///
/// @param stride how far the window moves at a time, at least 1
/// @param padding how many zeros are put before and behind each axis
/// @param dilation how far apart the window's elements are, at least 1
/// @param groups into how many parts the channels are divided, each with filters of its own; as
///   many as channels: a depthwise convolution
public record Conv2dOptions(Extent stride, Extent padding, Extent dilation, int groups) {
  /// Stride 1, no padding, dilation 1, one group.
  public static final Conv2dOptions DEFAULT =
      new Conv2dOptions(Extent.of(1), Extent.of(0), Extent.of(1), 1);

  public Conv2dOptions {
    if (!stride.isAtLeast(1) || !padding.isAtLeast(0) || !dilation.isAtLeast(1) || groups < 1) {
      throw new IllegalArgumentException(
          "conv2d: options out of range; got stride "
              + stride
              + ", padding "
              + padding
              + ", dilation "
              + dilation
              + ", groups "
              + groups
              + "; need stride, dilation and groups of at least 1, and padding of at least 0");
    }
  }

  public Conv2dOptions withStride(int size) {
    return withStride(Extent.of(size));
  }

  public Conv2dOptions withStride(Extent other) {
    return new Conv2dOptions(other, padding, dilation, groups);
  }

  public Conv2dOptions withPadding(int size) {
    return withPadding(Extent.of(size));
  }

  public Conv2dOptions withPadding(Extent other) {
    return new Conv2dOptions(stride, other, dilation, groups);
  }

  public Conv2dOptions withDilation(int size) {
    return withDilation(Extent.of(size));
  }

  public Conv2dOptions withDilation(Extent other) {
    return new Conv2dOptions(stride, padding, other, groups);
  }

  public Conv2dOptions withGroups(int count) {
    return new Conv2dOptions(stride, padding, dilation, count);
  }

  /// The size of the result for an image of the height and width `image` under a filter of the size
  /// `kernel`; below 1 where the filter does not fit into the padded image.
  ///
  /// @throws ShapeException if it, or the padded image, is beyond the range of an int
  public Extent output(Extent image, Extent kernel) {
    return new Extent(
        output(
            image.height(), kernel.height(), stride.height(), padding.height(), dilation.height()),
        output(image.width(), kernel.width(), stride.width(), padding.width(), dilation.width()));
  }

  static int output(int size, int kernel, int stride, int padding, int dilation) {
    long padded = size + 2L * padding;
    long span = (long) dilation * (kernel - 1L) + 1;
    if (padded > Integer.MAX_VALUE) {
      throw new ShapeException(
          "window: the padded image is too large; got size "
              + size
              + " and padding "
              + padding
              + "; need at most "
              + Integer.MAX_VALUE
              + " together");
    }
    return span > padded ? 0 : (int) ((padded - span) / stride) + 1;
  }
}
