package fornax.backend;

import static fornax.backend.Binary.ADD;
import static fornax.backend.Binary.DIVIDE;
import static fornax.backend.Binary.MULTIPLY;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Pieces of the default bodies in [Backend]: elementwise gradients and work by rows.
final class Gradients {
  private static final double TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);
  private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI); // arXiv:1606.08415 §2
  private static final double CUBIC = 0.044715; // arXiv:1606.08415 §2
  private static final double INVERSE_SQRT_2_PI = 1 / Math.sqrt(2 * Math.PI);

  private Gradients() {}

  static void unary(Backend b, Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    try (var work = new Workspace(b.memory())) {
      NdArray d = work.allocate(Backend.arithmetic(x), x.shape());
      switch (op) {
        case NEGATE -> b.fill(d, -1);
        case ABS -> b.unary(Unary.SIGN, x, d);
        case SIGN -> b.fill(d, 0);
        case SQUARE -> b.binary(MULTIPLY, x, 2, d);
        case SQRT -> { // 1 / 2y
          b.binary(MULTIPLY, y, 2, d);
          b.unary(Unary.RECIPROCAL, d, d);
        }
        case RSQRT -> { // −y³/2 = −y / 2x
          b.binary(DIVIDE, y, x, d);
          b.binary(MULTIPLY, d, -0.5, d);
        }
        case RECIPROCAL -> { // −y²
          b.unary(Unary.SQUARE, y, d);
          b.unary(Unary.NEGATE, d, d);
        }
        case EXP -> b.copy(y, d);
        case LOG -> b.unary(Unary.RECIPROCAL, x, d);
        case TANH -> { // 1 − y²
          b.unary(Unary.SQUARE, y, d);
          oneMinus(b, d);
        }
        case SIGMOID -> { // y(1 − y)
          b.copy(y, d);
          oneMinus(b, d);
          b.binary(MULTIPLY, d, y, d);
        }
        case SOFTPLUS -> b.unary(Unary.SIGMOID, x, d);
        case RELU -> {
          NdArray positive = work.allocate(DType.BOOL, x.shape());
          b.compare(Compare.GREATER, x, 0, positive);
          b.copy(positive, d);
        }
        case SILU -> silu(b, work, x, d);
        case GELU_TANH -> geluTanh(b, work, x, d);
        case GELU_ERF -> geluErf(b, work, x, d);
        case ERF -> { // 2/√π·exp(−x²)
          gauss(b, x, -1, d);
          b.binary(MULTIPLY, d, TWO_OVER_SQRT_PI, d);
        }
        case SIN -> b.unary(Unary.COS, x, d);
        case COS -> {
          b.unary(Unary.SIN, x, d);
          b.unary(Unary.NEGATE, d, d);
        }
      }
      b.binary(MULTIPLY, d, dy, dx);
    }
  }

  // With s = sigmoid(x): s + x·s(1 − s) = s(1 + x(1 − s)).
  private static void silu(Backend b, Workspace work, NdArray x, NdArray d) {
    NdArray s = work.allocate(d.dtype(), x.shape());
    b.unary(Unary.SIGMOID, x, s);
    b.copy(s, d);
    oneMinus(b, d);
    b.binary(MULTIPLY, d, x, d);
    b.binary(ADD, d, 1, d);
    b.binary(MULTIPLY, d, s, d);
  }

  // With t = tanh(u), u = √(2/π)(x + 0.044715x³): ½(1 + t) + ½x(1 − t²)u′, u′ = √(2/π)(1 +
  // 3·0.044715x²).
  private static void geluTanh(Backend b, Workspace work, NdArray x, NdArray d) {
    NdArray square = work.allocate(d.dtype(), x.shape());
    NdArray t = work.allocate(d.dtype(), x.shape());
    b.unary(Unary.SQUARE, x, square);
    b.binary(MULTIPLY, square, CUBIC, t);
    b.binary(ADD, t, 1, t);
    b.binary(MULTIPLY, t, x, t);
    b.binary(MULTIPLY, t, SQRT_2_OVER_PI, t);
    b.unary(Unary.TANH, t, t);
    b.binary(MULTIPLY, square, 3 * CUBIC, square);
    b.binary(ADD, square, 1, square);
    b.binary(MULTIPLY, square, SQRT_2_OVER_PI, square);
    b.binary(MULTIPLY, square, x, square);
    b.unary(Unary.SQUARE, t, d);
    oneMinus(b, d);
    b.binary(MULTIPLY, d, square, d);
    b.binary(ADD, d, t, d);
    b.binary(ADD, d, 1, d);
    b.binary(MULTIPLY, d, 0.5, d);
  }

  // ½(1 + erf(x/√2)) + x·exp(−x²/2)/√(2π).
  private static void geluErf(Backend b, Workspace work, NdArray x, NdArray d) {
    NdArray e = work.allocate(d.dtype(), x.shape());
    gauss(b, x, -0.5, e);
    b.binary(MULTIPLY, e, INVERSE_SQRT_2_PI, e);
    b.binary(MULTIPLY, e, x, e);
    b.binary(MULTIPLY, x, Math.sqrt(0.5), d);
    b.unary(Unary.ERF, d, d);
    b.binary(ADD, d, 1, d);
    b.binary(MULTIPLY, d, 0.5, d);
    b.binary(ADD, d, e, d);
  }

  private static void gauss(Backend b, NdArray x, double factor, NdArray d) {
    b.unary(Unary.SQUARE, x, d);
    b.binary(MULTIPLY, d, factor, d);
    b.unary(Unary.EXP, d, d);
  }

  private static void oneMinus(Backend b, NdArray d) {
    b.unary(Unary.NEGATE, d, d);
    b.binary(ADD, d, 1, d);
  }

  // y = x − mean by rows, and the mean of that taken away as well.
  static void centre(Backend b, Workspace work, NdArray x, NdArray mean, NdArray y) {
    NdArray rest = work.allocate(y.dtype(), mean.shape());
    b.binary(Binary.SUBTRACT, x, mean.expand(x.shape()), y);
    b.reduce(Reduce.SUM, y, rest);
    b.binary(MULTIPLY, rest, 1.0 / x.dim(1), rest);
    b.binary(Binary.SUBTRACT, y, rest.expand(x.shape()), y);
  }

  // y = x·rows·weight + bias, rounded once.
  static void scaleRows(
      Backend b,
      NdArray x,
      NdArray rows,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      NdArray y) {
    try (var work = new Workspace(b.memory())) {
      NdArray scaled = work.allocate(Backend.arithmetic(x), x.shape());
      b.binary(MULTIPLY, x, rows.expand(x.shape()), scaled);
      if (weight != null) {
        b.binary(MULTIPLY, scaled, weight.expand(x.shape()), scaled);
      }
      if (bias != null) {
        b.binary(ADD, scaled, bias.expand(x.shape()), scaled);
      }
      b.copy(scaled, y);
    }
  }

  // dy ⊙ weight, or dy itself.
  static NdArray weighted(Backend b, Workspace work, NdArray dy, @Nullable NdArray weight) {
    if (weight == null) {
      return dy;
    }
    NdArray g = work.allocate(Backend.arithmetic(dy), dy.shape());
    b.binary(MULTIPLY, dy, weight.expand(dy.shape()), g);
    return g;
  }

  // y [C] = or += the sum of x [N, C] over rows.
  static void sumRows(Backend b, Workspace work, NdArray x, NdArray y, boolean accumulate) {
    NdArray row = y.reshape(Shape.of(1, y.elements()));
    if (accumulate) {
      NdArray sum = work.allocate(y.dtype(), row.shape());
      b.reduce(Reduce.SUM, x, sum);
      b.binary(ADD, row, sum, row);
    } else {
      b.reduce(Reduce.SUM, x, row);
    }
  }

  // y [C] = or += the sum of x [N, C, H, W] over all axes but C.
  static void sumChannels(Backend b, NdArray x, NdArray y, boolean accumulate) {
    NdArray channels = y.reshape(Shape.of(1, y.elements(), 1, 1));
    if (!accumulate) {
      b.reduce(Reduce.SUM, x, channels);
      return;
    }
    try (var work = new Workspace(b.memory())) {
      NdArray sum = work.allocate(Backend.arithmetic(y), channels.shape());
      b.reduce(Reduce.SUM, x, sum);
      b.binary(ADD, channels, sum, channels);
    }
  }

  static long[] append(long[] strides, long stride) {
    long[] longer = Arrays.copyOf(strides, strides.length + 1);
    longer[strides.length] = stride;
    return longer;
  }
}
