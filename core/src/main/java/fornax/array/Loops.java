package fornax.array;

import java.util.Arrays;

/// The common loop over several layouts of one shape, with axes of size 1 dropped and neighbours
/// joined wherever every operand allows: contiguous operands become a single run. Kernels loop over
/// the outer axes and run along the inner.
public final class Loops {
  private final long[] dims;
  private final long[][] strides;
  private final long[] offsets;

  private Loops(long[] dims, long[][] strides, long[] offsets) {
    this.dims = dims;
    this.strides = strides;
    this.offsets = offsets;
  }

  /// Joins the loops of `operands`, which all have one shape.
  ///
  /// @throws ShapeException if the shapes differ
  public static Loops of(Layout... operands) {
    Shape shape = operands[0].shape();
    for (Layout operand : operands) {
      if (!operand.shape().equals(shape)) {
        throw new ShapeException(
            "loop: operands of different shapes; got " + shape + " and " + operand.shape());
      }
    }
    int count = operands.length;
    long[] offsets = new long[count];
    for (int k = 0; k < count; k++) {
      offsets[k] = operands[k].offset();
    }
    boolean flat = true;
    for (Layout operand : operands) {
      flat &= operand.isContiguous();
    }
    if (flat) {
      long[][] ones = new long[count][];
      Arrays.fill(ones, new long[] {1});
      return new Loops(new long[] {shape.elements()}, ones, offsets);
    }
    int rank = shape.rank();
    long[] dims = new long[rank];
    long[][] strides = new long[count][rank];
    int n = 0;
    for (int axis = 0; axis < rank; axis++) {
      long dim = shape.dim(axis);
      if (dim == 1) {
        continue;
      }
      boolean joins = n > 0;
      for (int k = 0; k < count && joins; k++) {
        joins = strides[k][n - 1] == operands[k].stride(axis) * dim;
      }
      if (joins) {
        dims[n - 1] *= dim;
      } else {
        dims[n++] = dim;
      }
      for (int k = 0; k < count; k++) {
        strides[k][n - 1] = operands[k].stride(axis);
      }
    }
    if (n == 0) {
      dims = new long[] {1};
      Arrays.fill(strides, new long[] {1});
      return new Loops(dims, strides, offsets);
    }
    for (int k = 0; k < count; k++) {
      strides[k] = Arrays.copyOf(strides[k], n);
    }
    return new Loops(Arrays.copyOf(dims, n), strides, offsets);
  }

  /// The number of joined axes; at least 1.
  public int rank() {
    return dims.length;
  }

  /// The size of the joined axis `axis`.
  public long dim(int axis) {
    return dims[axis];
  }

  /// The stride of operand `k` along the joined axis `axis`.
  public long stride(int k, int axis) {
    return strides[k][axis];
  }

  /// The number of inner runs.
  public long runs() {
    long runs = 1;
    for (int axis = 0; axis < dims.length - 1; axis++) {
      runs *= dims[axis];
    }
    return runs;
  }

  /// The elements of one inner run; 0 for an empty array.
  public long runLength() {
    return dims[dims.length - 1];
  }

  /// The stride of operand `k` along a run.
  public long runStride(int k) {
    return strides[k][dims.length - 1];
  }

  /// Where run `run` of operand `k` starts, in elements from the start of its buffer.
  public long start(int k, long run) {
    long place = offsets[k];
    for (int axis = dims.length - 2; axis >= 0; axis--) {
      place += run % dims[axis] * strides[k][axis];
      run /= dims[axis];
    }
    return place;
  }
}
