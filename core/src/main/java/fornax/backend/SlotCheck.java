package fornax.backend;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.ShapeException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What the arrays of an optimiser's slot must be: kernels read and write them without asking.
final class SlotCheck {
  private SlotCheck() {}

  /// @throws DTypeException if the arrays are not all F32 (or F64, on the reference backend), or
  ///   the copy is neither BF16 nor F16
  /// @throws ShapeException if they are not contiguous and of one shape
  static void check(String op, List<NdArray> arrays, @Nullable NdArray copy) {
    NdArray parameter = arrays.getFirst();
    DType type = parameter.dtype();
    for (NdArray array : arrays) {
      if (array.dtype() != type || !(type == DType.F32 || type == DType.F64)) {
        throw new DTypeException(
            op
                + ": type not usable; got "
                + array
                + " beside the parameter "
                + parameter
                + "; need F32 (a BF16 or F16 parameter is the copy of an F32 one)");
      }
      checkShape(op, parameter, array);
    }
    if (copy != null) {
      if (!copy.dtype().isHalf()) {
        throw new DTypeException(op + ": copy of another type; got " + copy + "; need BF16 or F16");
      }
      checkShape(op, parameter, copy);
    }
  }

  private static void checkShape(String op, NdArray parameter, NdArray array) {
    if (!array.isContiguous() || !array.shape().equals(parameter.shape())) {
      throw new ShapeException(
          op
              + ": arrays not alike; got "
              + array
              + " beside the parameter "
              + parameter
              + "; need contiguous ones of one shape");
    }
  }
}
