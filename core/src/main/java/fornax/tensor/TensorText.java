package fornax.tensor;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.Arrays;
import java.util.Locale;

/// How a tensor prints.
final class TensorText {
  private static final long ALL = 1000;
  private static final int EDGE = 3;

  private TensorText() {}

  static String of(Tensor x) {
    StringBuilder text = new StringBuilder("Tensor(");
    boolean abbreviated = x.elements() > ALL;
    try (var _ = Scope.open();
        var _ = GradMode.noGrad()) {
      Tensor shown = abbreviated ? edges(x) : x;
      double[] values = shown.toDoubleArray();
      String[] words = new String[values.length];
      String format = format(values);
      for (int i = 0; i < words.length; i++) {
        words[i] = word(x.dtype(), values[i], format);
      }
      int width = Arrays.stream(words).mapToInt(String::length).max().orElse(0);
      append(text, words, shown.shape(), x.shape(), 0, 0, width, "Tensor(".length());
    }
    return text.append(", ")
        .append(x.dtype())
        .append(' ')
        .append(x.shape())
        .append(", ")
        .append(x.backend().id())
        .append(x.requiresGrad() ? ", requiresGrad" : "")
        .append(')')
        .toString();
  }

  // The first and last elements along each long axis, side by side.
  private static Tensor edges(Tensor x) {
    Tensor shown = x.detach();
    for (int axis = 0; axis < x.rank(); axis++) {
      long size = x.dim(axis);
      if (size > 2 * EDGE) {
        shown =
            Tensor.concat(axis, shown.slice(axis, 0, EDGE), shown.slice(axis, size - EDGE, size));
      }
    }
    return shown;
  }

  private static String format(double[] values) {
    double largest = 0;
    double smallest = Double.MAX_VALUE;
    for (double value : values) {
      if (Double.isFinite(value) && value != 0) {
        largest = Math.max(largest, Math.abs(value));
        smallest = Math.min(smallest, Math.abs(value));
      }
    }
    return largest >= 1e6 || largest > 0 && smallest < 1e-4 ? "%.4e" : "%.4f";
  }

  private static String word(DType dtype, double value, String format) {
    return switch (dtype) {
      case BOOL -> value != 0 ? "true" : "false";
      case I32 -> Long.toString((long) value);
      case F32, F64, BF16, F16 ->
          Double.isFinite(value) ? String.format(Locale.ROOT, format, value) : special(value);
    };
  }

  private static String special(double value) {
    return Double.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  }

  private static void append(
      StringBuilder text,
      String[] words,
      Shape shown,
      Shape whole,
      int axis,
      int start,
      int width,
      int indent) {
    if (axis == shown.rank()) {
      text.append(" ".repeat(width - words[start].length())).append(words[start]);
      return;
    }
    text.append('[');
    int stride = (int) shown.trailing(shown.rank() - axis - 1).elements();
    boolean last = axis == shown.rank() - 1;
    long size = shown.dim(axis);
    for (int i = 0; i < size; i++) {
      if (i > 0) {
        text.append(last ? ", " : ",\n" + " ".repeat(indent + 1));
      }
      if (i == EDGE && size < whole.dim(axis)) {
        text.append(last ? "…, " : "…,\n" + " ".repeat(indent + 1));
      }
      append(text, words, shown, whole, axis + 1, start + i * stride, width, indent + 1);
    }
    text.append(']');
  }
}
