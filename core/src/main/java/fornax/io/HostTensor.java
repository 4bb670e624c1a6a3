package fornax.io;

import fornax.array.Shape;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;

/// A tensor in host memory as a file holds it: elements in row-major order, little-endian, without
/// gaps, of `shape.elements() × dtype.bytes()` bytes.
///
/// `source` is asked for the bytes when they are needed and not before, so that a file of many
/// tensors can be written with one of them in memory at a time.
public record HostTensor(FileDType dtype, Shape shape, Supplier<MemorySegment> source) {
  /// A tensor over `bytes`, which are not copied.
  ///
  /// @throws IllegalArgumentException if their number is not `elements × dtype.bytes()`
  public static HostTensor of(FileDType dtype, Shape shape, MemorySegment bytes) {
    var tensor = new HostTensor(dtype, shape, () -> bytes);
    tensor.requireSize(bytes);
    return tensor;
  }

  /// A tensor of `values` stored as `dtype`, one of `F16`, `BF16`, `F32`, `F64`; rounded to
  /// nearest, ties to even.
  ///
  /// @throws IllegalArgumentException if the number of values is not that of the shape's elements,
  ///   or `dtype` is not a floating-point type
  public static HostTensor ofFloats(FileDType dtype, Shape shape, float... values) {
    return of(dtype, shape, Elements.ofFloats(dtype, values));
  }

  /// An `F64` tensor of `values`.
  ///
  /// @throws IllegalArgumentException if the number of values is not that of the shape's elements
  public static HostTensor ofDoubles(Shape shape, double... values) {
    return of(FileDType.F64, shape, Elements.ofDoubles(values));
  }

  /// A tensor of `values` stored as `dtype`, one of `I32`, `I64`, `U8`, `BOOL`.
  ///
  /// @throws IllegalArgumentException if the number of values is not that of the shape's elements,
  ///   a value does not fit, or `dtype` is a floating-point type
  public static HostTensor ofInts(FileDType dtype, Shape shape, int... values) {
    return of(dtype, shape, Elements.ofInts(dtype, values));
  }

  /// An `I64` tensor of `values`.
  ///
  /// @throws IllegalArgumentException if the number of values is not that of the shape's elements
  public static HostTensor ofLongs(Shape shape, long... values) {
    return of(FileDType.I64, shape, Elements.ofLongs(values));
  }

  /// The bytes, little-endian.
  ///
  /// @throws IllegalArgumentException if the source gives another number than the shape needs
  public MemorySegment bytes() {
    MemorySegment bytes = source.get();
    requireSize(bytes);
    return bytes;
  }

  /// The number of bytes, `elements × dtype.bytes()`.
  public long byteSize() {
    return Math.multiplyExact(shape.elements(), (long) dtype.bytes());
  }

  /// The values as `float`: exact for `F16`, `BF16`, `F32` and `BOOL`; `F64` rounded to nearest;
  /// integers where `float` holds them exactly.
  ///
  /// @throws ConversionException if a value does not fit
  public float[] floats() throws ConversionException {
    return Elements.floats(this, toString());
  }

  /// The values as `double`: exact, so an `I64` that `double` does not hold is an error.
  ///
  /// @throws ConversionException if a value does not fit
  public double[] doubles() throws ConversionException {
    return Elements.doubles(this, toString());
  }

  /// The values as `int`, from `I32`, `I64`, `U8` or `BOOL`.
  ///
  /// @throws ConversionException if a value does not fit, or the dtype is a floating-point type
  public int[] ints() throws ConversionException {
    return Elements.ints(this, toString());
  }

  @Override
  public String toString() {
    return dtype + " " + shape;
  }

  private void requireSize(MemorySegment bytes) {
    if (bytes.byteSize() != byteSize()) {
      throw new IllegalArgumentException(
          "HostTensor: got " + bytes.byteSize() + " bytes; need " + byteSize() + " for " + this);
    }
  }
}
