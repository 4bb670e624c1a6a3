package fornax.opencl;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.backend.NdArray;

/// Types of arrays as options of the kernels' compiler.
final class Types {
  private Types() {}

  /// ` -D NAME=TYPE`.
  ///
  /// @throws DTypeException for F64
  static String option(String op, String name, NdArray array) {
    return option(op, name, array.dtype());
  }

  static String option(String op, String name, DType type) {
    if (type == DType.F64) {
      throw new DTypeException(
          op
              + ": the OpenCL backend has no F64; got F64; need F32, BF16, F16, I32 or BOOL; cast"
              + " first, or use the reference backend");
    }
    return " -D " + name + "=" + type;
  }
}
