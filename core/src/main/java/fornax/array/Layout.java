package fornax.array;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Where the elements of an array lie in its buffer: shape, strides and offset, all counted in
/// elements; immutable. The element at index `i` is at `offset + Σ i[k]·stride[k]`. A stride of 0
/// repeats an element (broadcasting).
public final class Layout {
  private final Shape shape;
  private final long[] strides;
  private final long offset;
  private final boolean contiguous;

  private Layout(Shape shape, long[] strides, long offset) {
    this.shape = shape;
    this.strides = strides;
    this.offset = shape.elements() == 0 ? 0 : offset; // nothing lies behind the end of a buffer
    this.contiguous = contiguous(shape, strides);
  }

  /// Row-major elements without gaps, from the start of the buffer.
  public static Layout of(Shape shape) {
    return new Layout(shape, rowMajor(shape), 0);
  }

  /// A layout with the given strides and offset.
  ///
  /// @throws ShapeException if there is not one stride for each axis
  public static Layout of(Shape shape, long[] strides, long offset) {
    if (strides.length != shape.rank()) {
      throw new ShapeException(
          "layout: not one stride for each axis; got "
              + Arrays.toString(strides)
              + " for "
              + shape);
    }
    return new Layout(shape, strides.clone(), offset);
  }

  public Shape shape() {
    return shape;
  }

  /// The first element's place in the buffer, in elements.
  public long offset() {
    return offset;
  }

  /// The distance in elements between neighbours along `axis`, which may be negative.
  public long stride(int axis) {
    return strides[shape.axis("stride", axis)];
  }

  /// A fresh array of the strides.
  public long[] strides() {
    return strides.clone();
  }

  /// Whether all elements lie in a buffer of `elements` elements.
  public boolean fits(long elements) {
    if (shape.elements() == 0) {
      return true;
    }
    long low = offset;
    long high = offset;
    try {
      for (int axis = 0; axis < strides.length; axis++) {
        long reach = Math.multiplyExact(shape.dim(axis) - 1, strides[axis]);
        if (reach < 0) {
          low = Math.addExact(low, reach);
        } else {
          high = Math.addExact(high, reach);
        }
      }
    } catch (ArithmeticException _) {
      return false;
    }
    return low >= 0 && high < elements;
  }

  /// Whether the elements are row-major without gaps (wherever they start).
  public boolean isContiguous() {
    return contiguous;
  }

  /// The axes in the order `axes`.
  public Layout permute(int... axes) {
    int rank = shape.rank();
    if (axes.length != rank) {
      throw new ShapeException(
          "permute: wrong number of axes; got "
              + Arrays.toString(axes)
              + " for "
              + shape
              + "; need each of its "
              + rank
              + " axes once");
    }
    long[] dims = new long[rank];
    long[] steps = new long[rank];
    boolean[] seen = new boolean[rank];
    for (int i = 0; i < rank; i++) {
      int axis = shape.axis("permute", axes[i]);
      if (seen[axis]) {
        throw new ShapeException(
            "permute: axis named twice; got "
                + Arrays.toString(axes)
                + " for "
                + shape
                + "; need each axis once");
      }
      seen[axis] = true;
      dims[i] = shape.dim(axis);
      steps[i] = strides[axis];
    }
    return new Layout(Shape.of(dims), steps, offset);
  }

  /// Two axes swapped.
  public Layout swapAxes(int a, int b) {
    int[] axes = new int[shape.rank()];
    Arrays.setAll(axes, i -> i);
    int i = shape.axis("swapAxes", a);
    int j = shape.axis("swapAxes", b);
    axes[i] = j;
    axes[j] = i;
    return permute(axes);
  }

  /// The elements `start` (included) to `end` (excluded) of `axis`.
  public Layout slice(int axis, long start, long end) {
    int at = shape.axis("slice", axis);
    long size = shape.dim(at);
    if (start < 0 || end < start || end > size) {
      throw new ShapeException(
          "slice: range outside the axis; got ["
              + start
              + ", "
              + end
              + ") of axis "
              + axis
              + " of "
              + shape
              + "; need 0 <= start <= end <= "
              + size);
    }
    return new Layout(shape.with(at, end - start), strides, offset + start * strides[at]);
  }

  /// The layout stretched to `target` by broadcasting; repeated elements have stride 0.
  ///
  /// @throws ShapeException if this shape does not broadcast to `target`
  public Layout expand(Shape target) {
    if (target.equals(shape)) {
      return this;
    }
    int rank = target.rank();
    int missing = rank - shape.rank();
    if (missing < 0) {
      throw new ShapeException(
          "expand: fewer axes than the array has; got " + shape + " to " + target);
    }
    long[] steps = new long[rank];
    for (int i = missing; i < rank; i++) {
      long from = shape.dim(i - missing);
      if (from == target.dim(i)) {
        steps[i] = strides[i - missing];
      } else if (from != 1) {
        throw new ShapeException(
            "expand: shape does not broadcast; got "
                + shape
                + " to "
                + target
                + "; need size 1 or "
                + target.dim(i)
                + " at axis "
                + (i - rank)
                + ", not "
                + from);
      }
    }
    return new Layout(target, steps, offset);
  }

  /// The same elements in another shape, or null where that needs a copy.
  ///
  /// @throws ShapeException if the numbers of elements differ
  public @Nullable Layout reshape(Shape target) {
    if (target.elements() != shape.elements()) {
      throw new ShapeException(
          "reshape: different number of elements; got "
              + shape
              + " ("
              + shape.elements()
              + ") to "
              + target
              + " ("
              + target.elements()
              + ")");
    }
    if (contiguous) {
      return new Layout(target, rowMajor(target), offset);
    }
    if (shape.elements() == 0) {
      return new Layout(target, rowMajor(target), offset);
    }
    return reshapeStrided(target);
  }

  // Walks both shapes from the left in groups of axes with equal products; a group of source axes
  // must be evenly
  // spaced to be split or joined without a copy (numpy's _attempt_nocopy_reshape).
  private @Nullable Layout reshapeStrided(Shape target) {
    long[] from = new long[shape.rank()];
    long[] fromSteps = new long[shape.rank()];
    int n = 0;
    for (int i = 0; i < shape.rank(); i++) {
      if (shape.dim(i) != 1) {
        from[n] = shape.dim(i);
        fromSteps[n++] = strides[i];
      }
    }
    long[] steps = new long[target.rank()];
    int i = 0;
    int j = 0;
    while (i < n && j < target.rank()) {
      int iEnd = i + 1;
      int jEnd = j + 1;
      long a = from[i];
      long b = target.dim(j);
      while (a != b) {
        if (a < b) {
          a *= from[iEnd++];
        } else {
          b *= target.dim(jEnd++);
        }
      }
      for (int k = i; k < iEnd - 1; k++) {
        if (fromSteps[k] != from[k + 1] * fromSteps[k + 1]) {
          return null;
        }
      }
      steps[jEnd - 1] = fromSteps[iEnd - 1];
      for (int k = jEnd - 1; k > j; k--) {
        steps[k - 1] = steps[k] * target.dim(k);
      }
      i = iEnd;
      j = jEnd;
    }
    for (; j < target.rank(); j++) {
      steps[j] = 1; // sizes of 1 at the end: any stride will do
    }
    return new Layout(target, steps, offset);
  }

  /// The place of the element with the row-major number `linear`, in elements from the start of the
  /// buffer.
  public long at(long linear) {
    if (contiguous) {
      return offset + linear;
    }
    long place = offset;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      long dim = shape.dim(axis);
      place += linear % dim * strides[axis];
      linear /= dim;
    }
    return place;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Layout that
        && offset == that.offset
        && shape.equals(that.shape)
        && Arrays.equals(strides, that.strides);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * shape.hashCode() + Arrays.hashCode(strides)) + Long.hashCode(offset);
  }

  @Override
  public String toString() {
    return contiguous && offset == 0
        ? shape.toString()
        : shape + " strides " + Arrays.toString(strides) + " offset " + offset;
  }

  private static long[] rowMajor(Shape shape) {
    long[] strides = new long[shape.rank()];
    long step = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      strides[axis] = step;
      step *= Math.max(1, shape.dim(axis));
    }
    return strides;
  }

  private static boolean contiguous(Shape shape, long[] strides) {
    if (shape.elements() == 0) {
      return true;
    }
    long step = 1;
    for (int axis = shape.rank() - 1; axis >= 0; axis--) {
      long dim = shape.dim(axis);
      if (dim != 1) {
        if (strides[axis] != step) {
          return false;
        }
        step *= dim;
      }
    }
    return true;
  }
}
