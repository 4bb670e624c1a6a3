package fornax.testkit;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.NdArray;
import fornax.backend.Primitives;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;

/// Arrays of a backend from plain numbers, and back.
public final class HostArrays {
  private HostArrays() {}

  /// A contiguous array with the elements `values`, good until `work` closes.
  public static NdArray of(
      Primitives backend, Workspace work, DType dtype, Shape shape, double... values) {
    if (values.length != shape.elements()) {
      throw new IllegalArgumentException(
          "of: wrong number of values; got " + values.length + " for " + shape);
    }
    // Longs, so that the segment is aligned for every type.
    MemorySegment segment = MemorySegment.ofArray(new long[values.length]);
    for (int i = 0; i < values.length; i++) {
      switch (dtype) {
        case F32 -> segment.setAtIndex(JAVA_FLOAT, i, (float) values[i]);
        case F64 -> segment.setAtIndex(JAVA_DOUBLE, i, values[i]);
        case BF16, F16 -> segment.setAtIndex(JAVA_SHORT, i, dtype.toHalf((float) values[i]));
        case I32 -> segment.setAtIndex(JAVA_INT, i, (int) values[i]);
        case BOOL -> segment.setAtIndex(JAVA_BYTE, i, (byte) (values[i] != 0 ? 1 : 0));
      }
    }
    NdArray array = work.allocate(dtype, shape);
    backend.upload(segment.asSlice(0, array.bytes()), array);
    return array;
  }

  /// The elements of `x`, of any layout, in row-major order.
  public static double[] values(Primitives backend, NdArray x) {
    try (var work = new Workspace(backend.memory())) {
      NdArray contiguous = x;
      if (!x.isContiguous()) {
        contiguous = work.allocate(x.dtype(), x.shape());
        backend.copy(x, contiguous);
      }
      MemorySegment segment = backend.readback(contiguous).await();
      double[] values = new double[Math.toIntExact(x.elements())];
      for (int i = 0; i < values.length; i++) {
        values[i] =
            switch (x.dtype()) {
              case F32 -> segment.getAtIndex(JAVA_FLOAT, i);
              case F64 -> segment.getAtIndex(JAVA_DOUBLE, i);
              case BF16, F16 -> x.dtype().fromHalf(segment.getAtIndex(JAVA_SHORT, i));
              case I32 -> segment.getAtIndex(JAVA_INT, i);
              case BOOL -> segment.getAtIndex(JAVA_BYTE, i);
            };
      }
      return values;
    }
  }
}
