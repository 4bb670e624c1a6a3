package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.Reduce;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// The values of an array that are not finite.
///
/// @param first the row-major index of the first of them
record BadValues(long notANumbers, long infinities, long first) {
  /// The largest magnitude in `x`: NaN if any value is NaN, infinity if any is infinite, 0 of
  /// nothing. Two reductions on the device; waits for them.
  static double magnitude(Backend backend, NdArray x) {
    if (x.elements() == 0) {
      return 0;
    }
    long[] ones = new long[x.rank()];
    Arrays.fill(ones, 1);
    Shape one = Shape.of(ones);
    try (var work = new Workspace(backend.memory())) {
      NdArray extreme = work.allocate(x.dtype(), one);
      backend.reduce(Reduce.MAX, x, extreme);
      double largest = value(backend.readback(extreme).await(), x.dtype(), 0);
      backend.reduce(Reduce.MIN, x, extreme);
      double smallest = value(backend.readback(extreme).await(), x.dtype(), 0);
      return Math.max(Math.abs(largest), Math.abs(smallest));
    }
  }

  /// Counts them, on the host.
  static BadValues of(Backend backend, NdArray x) {
    try (var work = new Workspace(backend.memory())) {
      NdArray dense = x;
      if (!x.isContiguous()) {
        dense = work.allocate(x.dtype(), x.shape());
        backend.copy(x, dense);
      }
      MemorySegment data = backend.readback(dense).await();
      long notANumbers = 0;
      long infinities = 0;
      long first = -1;
      for (long i = 0; i < x.elements(); i++) {
        double value = value(data, x.dtype(), i);
        if (!Double.isFinite(value)) {
          first = first < 0 ? i : first;
          notANumbers += Double.isNaN(value) ? 1 : 0;
          infinities += Double.isNaN(value) ? 0 : 1;
        }
      }
      return new BadValues(notANumbers, infinities, first);
    }
  }

  private static double value(MemorySegment data, DType dtype, long index) {
    return switch (dtype) {
      case F32 -> data.getAtIndex(ValueLayout.JAVA_FLOAT, index);
      case F64 -> data.getAtIndex(ValueLayout.JAVA_DOUBLE, index);
      case BF16, F16 -> dtype.fromHalf(data.getAtIndex(ValueLayout.JAVA_SHORT, index));
      case I32, BOOL -> 0;
    };
  }

  /// The index of the first along each axis.
  String place(Shape shape) {
    long[] index = new long[shape.rank()];
    long rest = first;
    for (int axis = index.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape.dim(axis);
      rest /= shape.dim(axis);
    }
    return Arrays.toString(index);
  }
}
