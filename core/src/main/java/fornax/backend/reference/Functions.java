package fornax.backend.reference;

import fornax.array.DType;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.Unary;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/// The elementwise functions in double precision, from [StrictMath]: equal bits on every machine.
final class Functions {
  private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI); // arXiv:1606.08415 §2
  private static final double CUBIC = 0.044715; // arXiv:1606.08415 §2
  private static final double SQRT_PI = Math.sqrt(Math.PI);

  private Functions() {}

  static DoubleUnaryOperator of(Unary op, DType type) {
    if (type == DType.I32) {
      return ofInt(op);
    }
    return switch (op) {
      case NEGATE -> x -> -x;
      case ABS -> Math::abs;
      case SIGN -> x -> x == 0 ? 0 : Math.signum(x);
      case SQUARE -> x -> x * x;
      case SQRT -> Math::sqrt;
      case RSQRT -> x -> 1 / Math.sqrt(x);
      case RECIPROCAL -> x -> 1 / x;
      case EXP -> StrictMath::exp;
      case LOG -> StrictMath::log;
      case TANH -> StrictMath::tanh;
      case SIGMOID -> Functions::sigmoid;
      case SOFTPLUS -> x -> Math.max(x, 0) + StrictMath.log1p(StrictMath.exp(-Math.abs(x)));
      case RELU -> x -> Math.max(x, 0);
      case SILU -> x -> x * sigmoid(x);
      case GELU_TANH ->
          x -> 0.5 * x * (1 + StrictMath.tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x)));
      case GELU_ERF -> x -> 0.5 * x * (1 + erf(x * Math.sqrt(0.5)));
      case ERF -> Functions::erf;
      case SIN -> StrictMath::sin;
      case COS -> StrictMath::cos;
    };
  }

  // Integers wrap round, as Java's do; a double holds each of them, a long their products.
  private static DoubleUnaryOperator ofInt(Unary op) {
    return switch (op) {
      case NEGATE -> x -> wrap(-(long) x);
      case ABS -> x -> wrap(Math.abs((long) x));
      case SIGN -> x -> Long.signum((long) x);
      default -> throw new IllegalArgumentException(op + ": not a function of I32");
    };
  }

  static DoubleBinaryOperator of(Binary op, DType type) {
    if (type == DType.I32) {
      return ofInt(op);
    }
    return switch (op) {
      case ADD -> Double::sum;
      case SUBTRACT -> (a, b) -> a - b;
      case MULTIPLY -> (a, b) -> a * b;
      case DIVIDE -> (a, b) -> a / b;
      case POWER -> StrictMath::pow;
      case MAXIMUM -> Math::max;
      case MINIMUM -> Math::min;
    };
  }

  private static DoubleBinaryOperator ofInt(Binary op) {
    return switch (op) {
      case ADD -> (a, b) -> wrap((long) a + (long) b);
      case SUBTRACT -> (a, b) -> wrap((long) a - (long) b);
      case MULTIPLY -> (a, b) -> wrap(Math.multiplyExact((long) a, (long) b));
      case MAXIMUM -> Math::max;
      case MINIMUM -> Math::min;
      case DIVIDE, POWER -> throw new IllegalArgumentException(op + ": not a function of I32");
    };
  }

  private static int wrap(long value) {
    return (int) value;
  }

  /// 1 where the comparison holds, else 0.
  static DoubleBinaryOperator of(Compare op) {
    return switch (op) {
      case EQUAL -> (a, b) -> a == b ? 1 : 0;
      case NOT_EQUAL -> (a, b) -> a != b ? 1 : 0;
      case LESS -> (a, b) -> a < b ? 1 : 0;
      case LESS_EQUAL -> (a, b) -> a <= b ? 1 : 0;
      case GREATER -> (a, b) -> a > b ? 1 : 0;
      case GREATER_EQUAL -> (a, b) -> a >= b ? 1 : 0;
    };
  }

  private static double sigmoid(double x) {
    return 1 / (1 + StrictMath.exp(-x));
  }

  /// The error function, with an error below 1e-15. Up to 2 by a series of positive terms, beyond
  /// by the continued fraction of its complement. Source: Abramowitz & Stegun, Handbook of
  /// Mathematical Functions, 7.1.6 and 7.1.14.
  static double erf(double x) {
    double z = Math.abs(x);
    if (z <= 2) {
      return series(x);
    }
    if (z < 6) { // erfc(6) is 2e-17
      return Math.copySign(1 - complement(z), x);
    }
    return Double.isNaN(x) ? x : Math.copySign(1, x);
  }

  // erf x = 2/√π·exp(−x²)·Σ 2ⁿx²ⁿ⁺¹ / (1·3·…·(2n + 1))
  private static double series(double x) {
    double term = x;
    double sum = x;
    for (int n = 1; Math.abs(term) > Math.abs(sum) * 0x1p-54; n++) {
      term *= 2 * x * x / (2 * n + 1);
      sum += term;
    }
    return 2 / SQRT_PI * StrictMath.exp(-x * x) * sum;
  }

  // √π·exp(z²)·erfc z = 1/(z + ½/(z + 1/(z + 3/2/(z + 2/(z + …))))), cut where z = 2 is exact.
  private static double complement(double z) {
    double tail = z;
    for (int n = 60; n >= 1; n--) {
      tail = z + n * 0.5 / tail;
    }
    return StrictMath.exp(-z * z) / (SQRT_PI * tail);
  }
}
