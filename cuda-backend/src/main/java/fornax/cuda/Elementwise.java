package fornax.cuda;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import java.util.Locale;

/// Launches of `unary.cu`, `binary.cu`, `compare.cu`, `where.cu`, `copy.cu` and `fill.cu`: vectors
/// of four where all operands are contiguous, aligned and of one floating type, else any strides.
final class Elementwise {
  private static final int TILE = 32; // of copy.cu
  private static final int TILE_ROWS = 8;
  private static final long MAX_GRID_YZ = 65535;

  private final CudaDevice device;

  Elementwise(CudaDevice device) {
    this.device = device;
  }

  // The suffix of a kernel for vectors of four, or "" where the operands do not allow them.
  private static String vectors(NdArray... operands) {
    DType type = operands[0].dtype();
    if (type != DType.F32 && !type.isHalf()) {
      return "";
    }
    Layout[] layouts = new Layout[operands.length];
    for (int k = 0; k < operands.length; k++) {
      if (operands[k].dtype() != type || CudaBlock.address(operands[k]) % (4 * type.bytes()) != 0) {
        return "";
      }
      layouts[k] = operands[k].layout();
    }
    return StridedLoop.of(layouts).isContiguous() ? "_" + lower(type) : "";
  }

  static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  static boolean isFloating(NdArray x) {
    return x.dtype().isFloating();
  }

  private static long quarters(NdArray y) {
    return (y.elements() + 3) / 4;
  }

  // ---- y = op(x)

  void unary(Unary op, NdArray x, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    String type = vectors(x, y);
    if (!type.isEmpty()) {
      device
          .kernel(lower(op), "unary", "unary_" + lower(op) + type)
          .array(x)
          .array(y)
          .number(y.elements())
          .threads(quarters(y));
      return;
    }
    for (StridedLoop loop : StridedLoop.of(x.layout(), y.layout()).pieces()) {
      if (isFloating(x)) {
        device
            .kernel(lower(op), "unary", "unary_strided")
            .integer(op.ordinal())
            .arrayAt(x, loop.offsets()[0])
            .integer(CudaDevice.type(x))
            .arrayAt(y, loop.offsets()[1])
            .integer(CudaDevice.type(y))
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      } else {
        device
            .kernel(lower(op), "unary", "unary_strided_i32")
            .integer(op.ordinal())
            .arrayAt(x, loop.offsets()[0])
            .arrayAt(y, loop.offsets()[1])
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      }
    }
  }

  /// Whether there was a kernel for these operands.
  boolean unaryGradient(Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    if (dx.elements() == 0) {
      return true;
    }
    String type = vectors(x, y, dy, dx);
    if (type.isEmpty()) {
      return false;
    }
    device
        .kernel(lower(op) + "Gradient", "unary", "unary_gradient_" + lower(op) + type)
        .array(x)
        .array(y)
        .array(dy)
        .array(dx)
        .number(dx.elements())
        .threads(quarters(dx));
    return true;
  }

  // ---- y = op(a, b)

  void binary(Binary op, NdArray a, NdArray b, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    String type = vectors(a, b, y);
    if (!type.isEmpty()) {
      device
          .kernel(lower(op), "binary", "binary_" + lower(op) + type)
          .array(a)
          .array(b)
          .array(y)
          .number(y.elements())
          .threads(quarters(y));
      return;
    }
    for (StridedLoop loop : StridedLoop.of(a.layout(), b.layout(), y.layout()).pieces()) {
      if (isFloating(a)) {
        device
            .kernel(lower(op), "binary", "binary_strided")
            .integer(op.ordinal())
            .arrayAt(a, loop.offsets()[0])
            .integer(CudaDevice.type(a))
            .arrayAt(b, loop.offsets()[1])
            .integer(CudaDevice.type(b))
            .arrayAt(y, loop.offsets()[2])
            .integer(CudaDevice.type(y))
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      } else {
        device
            .kernel(lower(op), "binary", "binary_strided_int")
            .integer(op.ordinal())
            .arrayAt(a, loop.offsets()[0])
            .arrayAt(b, loop.offsets()[1])
            .arrayAt(y, loop.offsets()[2])
            .integer(CudaDevice.type(y))
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      }
    }
  }

  void binary(Binary op, NdArray a, double b, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    String type = vectors(a, y);
    if (!type.isEmpty()) {
      device
          .kernel(lower(op), "binary", "binary_number_" + lower(op) + type)
          .array(a)
          .real((float) b)
          .array(y)
          .number(y.elements())
          .threads(quarters(y));
      return;
    }
    for (StridedLoop loop : StridedLoop.of(a.layout(), y.layout()).pieces()) {
      if (isFloating(a)) {
        device
            .kernel(lower(op), "binary", "binary_number_strided")
            .integer(op.ordinal())
            .arrayAt(a, loop.offsets()[0])
            .integer(CudaDevice.type(a))
            .real((float) b)
            .arrayAt(y, loop.offsets()[1])
            .integer(CudaDevice.type(y))
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      } else {
        device
            .kernel(lower(op), "binary", "binary_number_strided_int")
            .integer(op.ordinal())
            .arrayAt(a, loop.offsets()[0])
            .integer(integer(a, b))
            .arrayAt(y, loop.offsets()[1])
            .integer(CudaDevice.type(y))
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      }
    }
  }

  // The number as I32 or BOOL operand.
  private static int integer(NdArray a, double number) {
    return a.dtype() == DType.BOOL ? (number != 0 ? 1 : 0) : (int) number;
  }

  // ---- y = op(a, b), BOOL

  void compare(Compare op, NdArray a, NdArray b, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    String kernel = isFloating(a) ? "compare_strided" : "compare_strided_int";
    for (StridedLoop loop : StridedLoop.of(a.layout(), b.layout(), y.layout()).pieces()) {
      device
          .kernel(lower(op), "compare", kernel)
          .integer(op.ordinal())
          .arrayAt(a, loop.offsets()[0])
          .integer(CudaDevice.type(a))
          .arrayAt(b, loop.offsets()[1])
          .integer(CudaDevice.type(b))
          .arrayAt(y, loop.offsets()[2])
          .loop(loop)
          .size(loop.elements())
          .threads(loop.elements());
    }
  }

  void compare(Compare op, NdArray a, double b, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    if (a.dtype() == DType.BOOL) { // the number need not be 0 or 1
      try (var work = new Workspace(device.memory())) {
        NdArray floats = work.allocate(DType.F32, a.shape());
        copy(a, floats);
        compare(op, floats, b, y);
      }
      return;
    }
    for (StridedLoop loop : StridedLoop.of(a.layout(), y.layout()).pieces()) {
      Launch launch =
          device
              .kernel(
                  lower(op),
                  "compare",
                  isFloating(a) ? "compare_number_strided" : "compare_number_strided_int")
              .integer(op.ordinal())
              .arrayAt(a, loop.offsets()[0])
              .integer(CudaDevice.type(a));
      (isFloating(a) ? launch.real((float) b) : launch.integer((int) b))
          .arrayAt(y, loop.offsets()[1])
          .loop(loop)
          .size(loop.elements())
          .threads(loop.elements());
    }
  }

  void where(NdArray condition, NdArray a, NdArray b, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    String kernel = "where_strided_" + y.dtype().bytes();
    StridedLoop whole = StridedLoop.of(condition.layout(), a.layout(), b.layout(), y.layout());
    for (StridedLoop loop : whole.pieces()) {
      device
          .kernel("where", "where", kernel)
          .arrayAt(condition, loop.offsets()[0])
          .arrayAt(a, loop.offsets()[1])
          .arrayAt(b, loop.offsets()[2])
          .arrayAt(y, loop.offsets()[3])
          .loop(loop)
          .size(loop.elements())
          .threads(loop.elements());
    }
  }

  // ---- y = x with conversion

  void copy(NdArray x, NdArray y) {
    if (y.elements() == 0) {
      return;
    }
    StridedLoop whole = StridedLoop.of(x.layout(), y.layout());
    if (x.dtype() == y.dtype()) {
      copySame(x, y, whole);
    } else if (whole.isContiguous() && isHalfOfOther(x, y) && aligned(x) && aligned(y)) {
      device
          .kernel("copy", "copy", "copy_" + lower(x.dtype()) + "_to_" + lower(y.dtype()))
          .array(x)
          .array(y)
          .number(y.elements())
          .threads(quarters(y));
    } else {
      for (StridedLoop loop : whole.pieces()) {
        device
            .kernel("copy", "copy", "copy_convert")
            .arrayAt(x, loop.offsets()[0])
            .integer(CudaDevice.type(x))
            .arrayAt(y, loop.offsets()[1])
            .integer(CudaDevice.type(y))
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      }
    }
  }

  // Whether one is F32 and the other has 16 bits.
  private static boolean isHalfOfOther(NdArray x, NdArray y) {
    return x.dtype() == DType.F32 && y.dtype().isHalf()
        || x.dtype().isHalf() && y.dtype() == DType.F32;
  }

  private static boolean aligned(NdArray x) {
    return CudaBlock.address(x) % (4 * x.dtype().bytes()) == 0;
  }

  private void copySame(NdArray x, NdArray y, StridedLoop whole) {
    int bytes = y.dtype().bytes();
    if (whole.isContiguous()) {
      device.copyBytes(CudaBlock.address(x), CudaBlock.address(y), y.bytes());
      return;
    }
    for (StridedLoop loop : whole.pieces()) {
      if (isTransposition(loop)) {
        transpose(x, y, loop);
      } else {
        device
            .kernel("copy", "copy", "copy_strided_" + bytes)
            .arrayAt(x, loop.offsets()[0])
            .arrayAt(y, loop.offsets()[1])
            .loop(loop)
            .size(loop.elements())
            .threads(loop.elements());
      }
    }
  }

  // Whether the last two axes are a matrix that lies by columns in x and by rows in y.
  private static boolean isTransposition(StridedLoop loop) {
    int rank = loop.rank();
    if (rank != 2 && rank != 3) {
      return false;
    }
    long rows = loop.dims()[rank - 2];
    long columns = loop.dims()[rank - 1];
    return loop.strides()[0][rank - 2] == 1
        && loop.strides()[1][rank - 1] == 1
        && rows >= TILE_ROWS
        && columns >= TILE_ROWS
        && (rows + TILE - 1) / TILE <= MAX_GRID_YZ
        && (rank == 2 || loop.dims()[0] <= MAX_GRID_YZ);
  }

  private void transpose(NdArray x, NdArray y, StridedLoop loop) {
    int rank = loop.rank();
    long rows = loop.dims()[rank - 2];
    long columns = loop.dims()[rank - 1];
    device
        .kernel("copy", "copy", "copy_transpose_" + y.dtype().bytes())
        .arrayAt(x, loop.offsets()[0])
        .arrayAt(y, loop.offsets()[1])
        .size(rows)
        .size(columns)
        .number(loop.strides()[0][rank - 1])
        .number(loop.strides()[1][rank - 2])
        .number(rank == 3 ? loop.strides()[0][0] : 0)
        .number(rank == 3 ? loop.strides()[1][0] : 0)
        .run(
            (columns + TILE - 1) / TILE,
            (rows + TILE - 1) / TILE,
            rank == 3 ? loop.dims()[0] : 1,
            TILE,
            TILE_ROWS);
  }

  void fill(NdArray y, double value) {
    if (y.elements() == 0) {
      return;
    }
    int bits =
        switch (y.dtype()) {
          case F32 -> Float.floatToRawIntBits((float) value);
          case BF16, F16 -> y.dtype().toHalf((float) value);
          case I32 -> (int) value;
          case BOOL -> value != 0 ? 1 : 0;
          case F64 -> CudaDevice.type(y); // which throws
        };
    for (StridedLoop loop : StridedLoop.of(y.layout()).pieces()) {
      device
          .kernel("fill", "fill", "fill_strided_" + y.dtype().bytes())
          .arrayAt(y, loop.offsets()[0])
          .integer(bits)
          .loop(loop)
          .size(loop.elements())
          .threads(loop.elements());
    }
  }

  void range(NdArray y, double start, double step) {
    if (y.elements() > 0) {
      device
          .kernel("range", "fill", "fill_range")
          .array(y)
          .integer(CudaDevice.type(y))
          .real64(start)
          .real64(step)
          .number(y.elements())
          .threads(y.elements());
    }
  }

  // ---- randomness

  void random(NdArray state, int stream, NdArray y) {
    if (y.elements() > 0) {
      device
          .kernel("random", "random", "random_words")
          .array(state)
          .integer(stream)
          .array(y)
          .integer(CudaDevice.type(y))
          .number(y.elements())
          .threads(quarters(y));
    }
  }

  /// Whether there was a kernel for these operands.
  boolean dropout(NdArray x, double p, NdArray state, int stream, NdArray y) {
    if (x.dtype() != y.dtype()) {
      return false;
    }
    if (y.elements() > 0) {
      device
          .kernel("dropout", "dropout", "dropout_" + lower(y.dtype()))
          .array(x)
          .array(y)
          .array(state)
          .integer(stream)
          .integer(fornax.backend.Philox.keepThreshold(p))
          .real((float) (1 / (1 - p)))
          .number(y.elements())
          .threads(quarters(y));
    }
    return true;
  }

  /// `x`, or a contiguous copy of it in the type `type`.
  NdArray contiguous(Workspace work, NdArray x, DType type) {
    if (x.isContiguous() && x.dtype() == type) {
      return x;
    }
    NdArray copy = work.allocate(type, Shape.of(x.shape().toArray()));
    copy(x, copy);
    return copy;
  }

  /// The type that arithmetic is done in.
  static DType arithmetic(NdArray x) {
    return Backend.arithmetic(x);
  }
}
