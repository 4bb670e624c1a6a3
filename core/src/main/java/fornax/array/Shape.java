package fornax.array;

import java.util.Arrays;
import java.util.stream.Collectors;

/// The sizes of an array's axes, outermost first; immutable. Rank 0 is a scalar of one element.
///
/// Axes are counted from 0; a negative axis counts from the end, so that −1 is the last.
public final class Shape {
  private static final Shape SCALAR = new Shape(new long[0]);

  private final long[] dims;
  private final long elements;

  private Shape(long[] dims) {
    this.dims = dims;
    long product = 1;
    boolean empty = false;
    for (long dim : dims) {
      if (dim < 0) {
        throw new ShapeException("shape: negative size; got " + text(dims) + "; need sizes >= 0");
      }
      empty |= dim == 0;
    }
    if (!empty) {
      for (long dim : dims) {
        try {
          product = Math.multiplyExact(product, dim);
        } catch (ArithmeticException _) {
          throw new ShapeException(
              "shape: too many elements; got " + text(dims) + "; need a product below 2^63");
        }
      }
    }
    this.elements = empty ? 0 : product;
  }

  /// The shape with the sizes `dims`; none for a scalar.
  ///
  /// @throws ShapeException if a size is negative or the product overflows a long
  public static Shape of(long... dims) {
    return dims.length == 0 ? SCALAR : new Shape(dims.clone());
  }

  /// The shape of a scalar, `[]`.
  public static Shape scalar() {
    return SCALAR;
  }

  /// The number of axes.
  public int rank() {
    return dims.length;
  }

  /// The size of `axis`, which may be negative.
  ///
  /// @throws ShapeException if `axis` is outside `[-rank, rank)`
  public long dim(int axis) {
    return dims[axis("shape", axis)];
  }

  /// The number of elements: the product of the sizes, 1 for a scalar.
  public long elements() {
    return elements;
  }

  /// A fresh array of the sizes.
  public long[] toArray() {
    return dims.clone();
  }

  /// `axis` as a number in `[0, rank)`, for the operation `op`.
  ///
  /// @throws ShapeException if `axis` is outside `[-rank, rank)`
  public int axis(String op, int axis) {
    int rank = dims.length;
    if (axis < -rank || axis >= rank) {
      throw new ShapeException(
          op
              + ": axis outside the array; got axis "
              + axis
              + " of "
              + this
              + "; need "
              + (rank == 0
                  ? "an array with at least one axis"
                  : "-" + rank + " <= axis < " + rank));
    }
    return axis < 0 ? axis + rank : axis;
  }

  /// This shape with the size of `axis` replaced.
  public Shape with(int axis, long dim) {
    long[] copy = dims.clone();
    copy[axis("shape", axis)] = dim;
    return new Shape(copy);
  }

  /// This shape without `axis`.
  public Shape without(int axis) {
    int at = axis("shape", axis);
    long[] copy = new long[dims.length - 1];
    System.arraycopy(dims, 0, copy, 0, at);
    System.arraycopy(dims, at + 1, copy, at, dims.length - at - 1);
    return of(copy);
  }

  /// This shape with one more axis of size `dim`, which becomes axis `axis` (0 to rank, or negative
  /// from the end).
  public Shape insert(int axis, long dim) {
    int rank = dims.length;
    if (axis < -rank - 1 || axis > rank) {
      throw new ShapeException(
          "insert: axis outside the array; got axis "
              + axis
              + " for "
              + this
              + "; need "
              + -(rank + 1)
              + " <= axis <= "
              + rank);
    }
    int at = axis < 0 ? axis + rank + 1 : axis;
    long[] longer = new long[rank + 1];
    System.arraycopy(dims, 0, longer, 0, at);
    longer[at] = dim;
    System.arraycopy(dims, at, longer, at + 1, rank - at);
    return new Shape(longer);
  }

  /// The first `axes` axes (`axes` may be negative: all but the last −axes).
  public Shape leading(int axes) {
    return of(Arrays.copyOf(dims, axes < 0 ? dims.length + axes : axes));
  }

  /// The last `axes` axes.
  public Shape trailing(int axes) {
    return of(Arrays.copyOfRange(dims, dims.length - axes, dims.length));
  }

  /// The axes of this shape followed by those of `other`.
  public Shape concat(Shape other) {
    long[] both = Arrays.copyOf(dims, dims.length + other.dims.length);
    System.arraycopy(other.dims, 0, both, dims.length, other.dims.length);
    return of(both);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Shape that && Arrays.equals(dims, that.dims);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(dims);
  }

  /// `[2, 3]`; `[]` for a scalar.
  @Override
  public String toString() {
    return text(dims);
  }

  private static String text(long[] dims) {
    return Arrays.stream(dims).mapToObj(Long::toString).collect(Collectors.joining(", ", "[", "]"));
  }
}
