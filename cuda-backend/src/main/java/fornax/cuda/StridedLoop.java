package fornax.cuda;

import fornax.array.Layout;
import fornax.array.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// The common loop over several layouts of one shape, as the kernels of `strided.cuh` take it: axes
/// of size 1 dropped, neighbours joined wherever every operand allows.
///
/// @param dims the sizes, outermost first
/// @param strides in elements, by operand and axis
/// @param offsets where each operand's first element lies in its buffer, in elements
/// @param first the row-major number, in the whole shape, of this loop's first element
@SuppressWarnings("ArrayRecordComponent") // made for one call, read by its launch
record StridedLoop(long[] dims, long[][] strides, long[] offsets, long first) {
  /// The most axes that a kernel takes.
  static final int MAX_DIMS = 8;

  /// The most elements of one launch: indices are 32 bits wide.
  private static final long MAX_ELEMENTS = 1L << 30;

  static StridedLoop of(Layout... operands) {
    Shape shape = operands[0].shape();
    int count = operands.length;
    long[] offsets = new long[count];
    long[][] strides = new long[count][shape.rank()];
    for (int k = 0; k < count; k++) {
      offsets[k] = operands[k].offset();
    }
    long[] dims = new long[shape.rank()];
    int n = 0;
    for (int axis = 0; axis < shape.rank(); axis++) {
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
    for (int k = 0; k < count; k++) {
      strides[k] = Arrays.copyOf(strides[k], n);
    }
    return new StridedLoop(Arrays.copyOf(dims, n), strides, offsets, 0);
  }

  int rank() {
    return dims.length;
  }

  long elements() {
    long product = 1;
    for (long dim : dims) {
      product *= dim;
    }
    return product;
  }

  /// Whether every operand is one run of neighbours.
  boolean isContiguous() {
    if (dims.length > 1) {
      return false;
    }
    for (long[] of : strides) {
      if (dims.length == 1 && of[0] != 1) {
        return false;
      }
    }
    return true;
  }

  /// The parts that a kernel can take: at most [#MAX_DIMS] axes and 2³⁰ elements each, in order.
  List<StridedLoop> pieces() {
    if (dims.length <= MAX_DIMS && elements() <= MAX_ELEMENTS) {
      return List.of(this);
    }
    List<StridedLoop> pieces = new ArrayList<>();
    long inner = elements() / dims[0];
    long step = dims.length > MAX_DIMS ? 1 : Math.max(1, MAX_ELEMENTS / inner);
    for (long start = 0; start < dims[0]; start += step) {
      long size = Math.min(step, dims[0] - start);
      pieces.addAll(part(start, size, inner).pieces());
    }
    return pieces;
  }

  private StridedLoop part(long start, long size, long inner) {
    long[] moved = offsets.clone();
    for (int k = 0; k < moved.length; k++) {
      moved[k] += start * strides[k][0];
    }
    int drop = size == 1 ? 1 : 0;
    long[] rest = Arrays.copyOfRange(dims, drop, dims.length);
    if (drop == 0) {
      rest[0] = size;
    }
    long[][] steps = new long[strides.length][];
    for (int k = 0; k < steps.length; k++) {
      steps[k] = Arrays.copyOfRange(strides[k], drop, dims.length);
    }
    return new StridedLoop(rest, steps, moved, first + start * inner);
  }

  /// `layout` without `axis`: the places of its rows along that axis.
  static Layout without(Layout layout, int axis) {
    int at = layout.shape().axis("rows", axis);
    long[] strides = layout.strides();
    long[] rest = new long[strides.length - 1];
    System.arraycopy(strides, 0, rest, 0, at);
    System.arraycopy(strides, at + 1, rest, at, rest.length - at);
    return Layout.of(layout.shape().without(at), rest, layout.offset());
  }
}
