package fornax.backend;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import org.jspecify.annotations.Nullable;

/// An array on a device: a buffer, the layout of its elements and their type. It is a plain value
/// and holds nothing: who needs the buffer to stay retains it. Views share the buffer.
public final class NdArray {
  private final Buffer buffer;
  private final DType dtype;
  private final Layout layout;

  /// An array in `buffer`.
  ///
  /// @throws IllegalArgumentException if an element would lie outside the buffer
  public NdArray(Buffer buffer, DType dtype, Layout layout) {
    this(buffer, layout, dtype);
    if (!layout.fits(buffer.bytes() / dtype.bytes())) {
      throw new IllegalArgumentException(
          "array: elements outside the buffer; got "
              + this
              + " in "
              + buffer.describe()
              + "; need every element inside");
    }
  }

  // Of a layout that lies inside.
  private NdArray(Buffer buffer, Layout layout, DType dtype) {
    this.buffer = buffer;
    this.dtype = dtype;
    this.layout = layout;
  }

  public Buffer buffer() {
    return buffer;
  }

  public DType dtype() {
    return dtype;
  }

  public Layout layout() {
    return layout;
  }

  public Shape shape() {
    return layout.shape();
  }

  public int rank() {
    return layout.shape().rank();
  }

  /// The size of `axis`, which may be negative.
  public long dim(int axis) {
    return layout.shape().dim(axis);
  }

  public long elements() {
    return layout.shape().elements();
  }

  /// Bytes of the elements, [#elements()] × the type's size.
  public long bytes() {
    return elements() * dtype.bytes();
  }

  public boolean isContiguous() {
    return layout.isContiguous();
  }

  /// The same buffer under another layout.
  ///
  /// @throws IllegalArgumentException if an element would lie outside the buffer
  public NdArray view(Layout other) {
    return new NdArray(buffer, dtype, other);
  }

  private NdArray inside(Layout other) {
    return new NdArray(buffer, other, dtype);
  }

  /// The axes in the order `axes`.
  public NdArray permute(int... axes) {
    return inside(layout.permute(axes));
  }

  /// Two axes swapped.
  public NdArray swapAxes(int a, int b) {
    return inside(layout.swapAxes(a, b));
  }

  /// The last two axes swapped: a matrix, or a batch of them, transposed.
  public NdArray transpose() {
    return swapAxes(-2, -1);
  }

  /// The elements `start` (included) to `end` (excluded) of `axis`.
  public NdArray slice(int axis, long start, long end) {
    return inside(layout.slice(axis, start, end));
  }

  /// Stretched to `shape` by broadcasting.
  public NdArray expand(Shape shape) {
    return inside(layout.expand(shape));
  }

  /// In another shape, without a copy.
  ///
  /// @throws IllegalArgumentException if the layout does not allow it
  public NdArray reshape(Shape shape) {
    NdArray reshaped = tryReshape(shape);
    if (reshaped == null) {
      throw new IllegalArgumentException("reshape: needs a copy; got " + layout + " to " + shape);
    }
    return reshaped;
  }

  /// In another shape, or null where that needs a copy.
  public @Nullable NdArray tryReshape(Shape shape) {
    Layout reshaped = layout.reshape(shape);
    return reshaped == null ? null : inside(reshaped);
  }

  @Override
  public String toString() {
    return dtype + " " + layout;
  }
}
