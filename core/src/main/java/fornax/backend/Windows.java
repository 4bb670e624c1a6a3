package fornax.backend;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;

/// The windows that a filter sees of images `[N, C, H, W]`, for default bodies.
final class Windows {
  private final Extent stride;
  private final Extent padding;
  private final Extent dilation;

  Windows(Extent stride, Extent padding, Extent dilation) {
    this.stride = stride;
    this.padding = padding;
    this.dilation = dilation;
  }

  /// The shape of images like `images` with the padding round them.
  Shape padded(Shape images) {
    return images
        .with(2, images.dim(2) + 2L * padding.height())
        .with(3, images.dim(3) + 2L * padding.width());
  }

  /// The images with `value` round them; themselves without padding.
  NdArray pad(Backend b, Workspace work, NdArray images, double value) {
    if (padding.height() == 0 && padding.width() == 0) {
      return images;
    }
    NdArray padded = work.allocate(images.dtype(), padded(images.shape()));
    b.fill(padded, value);
    b.copy(images, inside(padded));
    return padded;
  }

  /// Padded images filled with 0, to be added to.
  NdArray zeros(Backend b, Workspace work, DType dtype, Shape images) {
    NdArray padded = work.allocate(dtype, padded(images));
    b.fill(padded, 0);
    return padded;
  }

  /// The images without the padding round them.
  NdArray inside(NdArray padded) {
    return padded
        .slice(2, padding.height(), padded.dim(2) - padding.height())
        .slice(3, padding.width(), padded.dim(3) - padding.width());
  }

  /// A view of all windows: `[N, C, kernel height, kernel width, height, width]` with the height
  /// and width `output`. Windows overlap, so it is only for reading.
  NdArray all(NdArray padded, Extent kernel, Extent output) {
    Layout from = padded.layout();
    Shape shape =
        Shape.of(
            padded.dim(0),
            padded.dim(1),
            kernel.height(),
            kernel.width(),
            output.height(),
            output.width());
    long[] strides = {
      from.stride(0),
      from.stride(1),
      from.stride(2) * dilation.height(),
      from.stride(3) * dilation.width(),
      from.stride(2) * stride.height(),
      from.stride(3) * stride.width()
    };
    return padded.view(Layout.of(shape, strides, from.offset()));
  }

  /// What element `(row, column)` of the window meets: `[N, C, height, width]`. No element twice.
  NdArray at(NdArray padded, int row, int column, Extent output) {
    Layout from = padded.layout();
    Shape shape = Shape.of(padded.dim(0), padded.dim(1), output.height(), output.width());
    long[] strides = {
      from.stride(0),
      from.stride(1),
      from.stride(2) * stride.height(),
      from.stride(3) * stride.width()
    };
    long offset =
        from.offset()
            + (long) row * dilation.height() * from.stride(2)
            + (long) column * dilation.width() * from.stride(3);
    return padded.view(Layout.of(shape, strides, offset));
  }
}
