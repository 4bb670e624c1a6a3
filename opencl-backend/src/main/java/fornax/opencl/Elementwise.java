package fornax.opencl;

import fornax.array.DType;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Launches `elementwise.cl`.
final class Elementwise {
  private final OpenClQueue queue;
  private final Tuning tuning;

  Elementwise(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void copy(NdArray x, NdArray y) {
    boolean same = x.dtype() == y.dtype();
    launch(
        "copy",
        "copy",
        Types.option("copy", "X", x) + Types.option("copy", "Y", y) + (same ? " -D SAME" : ""),
        KernelLoops.of("copy", x.layout(), y.layout()),
        x,
        y);
  }

  void fill(NdArray y, double value) {
    String type = Types.option("fill", "Y", y);
    launch("fill", "fill", type, KernelLoops.of("fill", y.layout()), y, number(value, y.dtype()));
  }

  void range(NdArray y, double start, double step) {
    if (y.dtype() == DType.I32 && (start != Math.rint(start) || step != Math.rint(step))) {
      // Rounding down each element needs double precision, which a device may not have.
      int[] values = new int[Math.toIntExact(y.elements())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (int) (start + i * step);
      }
      queue.upload(MemorySegment.ofArray(values), y);
      return;
    }
    queue.launch(
        "range",
        Kernel.Spec.of("elementwise", "range", Types.option("range", "Y", y)),
        Grid.items(y.elements(), tuning.flat()),
        y,
        number(start, y.dtype()),
        number(step, y.dtype()),
        y.elements());
  }

  void unary(Unary op, NdArray x, NdArray y) {
    launch(
        op.name(),
        "unary",
        Types.option(op.name(), "X", x) + Types.option(op.name(), "Y", y) + " -D OP=" + op,
        KernelLoops.of(op.name(), x.layout(), y.layout()),
        x,
        y);
  }

  void unaryGradient(Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    launch(
        op.name(),
        "unary_gradient",
        Types.option(op.name(), "X", x)
            + Types.option(op.name(), "Y", y)
            + Types.option(op.name(), "DY", dy)
            + Types.option(op.name(), "DX", dx)
            + " -D OP="
            + op,
        KernelLoops.of(op.name(), x.layout(), y.layout(), dy.layout(), dx.layout()),
        x,
        y,
        dy,
        dx);
  }

  void binary(Binary op, NdArray a, NdArray b, NdArray y) {
    launch(
        op.name(),
        "binary",
        Types.option(op.name(), "A", a)
            + Types.option(op.name(), "B", b)
            + Types.option(op.name(), "Y", y)
            + " -D OP="
            + op,
        KernelLoops.of(op.name(), a.layout(), b.layout(), y.layout()),
        a,
        b,
        y);
  }

  void binary(Binary op, NdArray a, double b, NdArray y) {
    launch(
        op.name(),
        "binary_scalar",
        Types.option(op.name(), "A", a) + Types.option(op.name(), "Y", y) + " -D OP=" + op,
        KernelLoops.of(op.name(), a.layout(), y.layout()),
        a,
        number(b, a.dtype()),
        y);
  }

  void compare(Compare op, NdArray a, NdArray b, NdArray y) {
    launch(
        op.name(),
        "compare",
        Types.option(op.name(), "A", a) + Types.option(op.name(), "B", b) + operator(op),
        KernelLoops.of(op.name(), a.layout(), b.layout(), y.layout()),
        a,
        b,
        y);
  }

  void compare(Compare op, NdArray a, double b, NdArray y) {
    launch(
        op.name(),
        "compare_scalar",
        Types.option(op.name(), "A", a) + operator(op),
        KernelLoops.of(op.name(), a.layout(), y.layout()),
        a,
        number(b, a.dtype()),
        y);
  }

  void where(NdArray condition, NdArray a, NdArray b, NdArray y) {
    launch(
        "where",
        "where",
        Types.option("where", "A", a),
        KernelLoops.of("where", condition.layout(), a.layout(), b.layout(), y.layout()),
        condition,
        a,
        b,
        y);
  }

  private void launch(
      String op, String kernel, String options, KernelLoops loops, Object... arguments) {
    Object[] all = Arrays.copyOf(arguments, arguments.length + 1);
    all[arguments.length] = loops;
    queue.launch(
        op,
        Kernel.Spec.of("elementwise", kernel, loops.isFlat() ? options + " -D FLAT" : options),
        Grid.items(loops.count(), tuning.flat()),
        all);
  }

  // The number as the kernels take it: NUMBER(type) of common.clh.
  static Object number(double value, DType type) {
    return type == DType.I32 ? (Object) (int) value : (Object) (float) value;
  }

  private static String operator(Compare op) {
    return " -D OP="
        + switch (op) {
          case EQUAL -> "==";
          case NOT_EQUAL -> "!=";
          case LESS -> "<";
          case LESS_EQUAL -> "<=";
          case GREATER -> ">";
          case GREATER_EQUAL -> ">=";
        };
  }
}
