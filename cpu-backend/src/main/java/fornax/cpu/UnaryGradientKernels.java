package fornax.cpu;

import static fornax.cpu.ScalarMath.GELU_CUBIC;
import static fornax.cpu.ScalarMath.SQRT_HALF;
import static fornax.cpu.ScalarMath.TWO_SQRT_2_OVER_PI;
import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The gradients of the elementwise functions on blocks of words: `dx = dy·op′`, where `op′` is
/// written in `y = op(x)` for the functions of [#usesResult(Unary)] and in `x` for the others; that
/// one is called `x` here. Vectors and scalars give the same bits.
final class UnaryGradientKernels {
  private static final int BLOCK = BlockLoop.BLOCK;
  private static final float TWO_OVER_SQRT_PI = 1.1283791671f;
  private static final float INVERSE_SQRT_2_PI = 0.3989422804f;

  private UnaryGradientKernels() {}

  /// Whether the derivative is written in the function's result.
  static boolean usesResult(Unary op) {
    return switch (op) {
      case SQRT, RSQRT, RECIPROCAL, EXP, TANH, SIGMOID -> true;
      case NEGATE,
          ABS,
          SIGN,
          SQUARE,
          LOG,
          SOFTPLUS,
          RELU,
          SILU,
          GELU_TANH,
          GELU_ERF,
          ERF,
          SIN,
          COS ->
          false;
    };
  }

  static void run(
      Unary op,
      MemorySegment x,
      long xo,
      MemorySegment dy,
      long dyo,
      MemorySegment dx,
      long dxo,
      int n) {
    if (!Simd.AVAILABLE || op == Unary.SIN || op == Unary.COS) {
      for (int i = 0; i < n; i++) {
        float u = x.get(JAVA_FLOAT, xo + 4L * i);
        float v = dy.get(JAVA_FLOAT, dyo + 4L * i);
        dx.set(JAVA_FLOAT, dxo + 4L * i, apply(op, u, v));
      }
      return;
    }
    switch (op) {
      case NEGATE -> UnaryKernels.run(Unary.NEGATE, dy, dyo, dx, dxo, n);
      case ABS -> Kernels.abs(x, xo, dy, dyo, dx, dxo, n);
      case SIGN -> RowKernels.scale(dy, dyo, 0, dx, dxo, n);
      case SQUARE -> Kernels.square(x, xo, dy, dyo, dx, dxo, n);
      case SQRT -> Kernels.sqrt(x, xo, dy, dyo, dx, dxo, n);
      case RSQRT -> Kernels.rsqrt(x, xo, dy, dyo, dx, dxo, n);
      case RECIPROCAL -> Kernels.reciprocal(x, xo, dy, dyo, dx, dxo, n);
      case EXP -> Kernels.exp(x, xo, dy, dyo, dx, dxo, n);
      case LOG -> Kernels.log(x, xo, dy, dyo, dx, dxo, n);
      case TANH -> Kernels.tanh(x, xo, dy, dyo, dx, dxo, n);
      case SIGMOID -> Kernels.sigmoid(x, xo, dy, dyo, dx, dxo, n);
      case SOFTPLUS -> Kernels.softplus(x, xo, dy, dyo, dx, dxo, n);
      case RELU -> Kernels.relu(x, xo, dy, dyo, dx, dxo, n);
      case ERF -> Kernels.erf(x, xo, dy, dyo, dx, dxo, n);
      case SILU, GELU_TANH, GELU_ERF -> {
        for (int i = 0; i < n; i += BLOCK) {
          long at = 4L * i;
          runPasses(op, x, xo + at, dy, dyo + at, dx, dxo + at, Math.min(BLOCK, n - i));
        }
      }
      case SIN, COS -> throw new AssertionError(op);
    }
  }

  // Several loops over a block in the first-level cache: see VectorMath.
  private static void runPasses(
      Unary op,
      MemorySegment x,
      long xo,
      MemorySegment dy,
      long dyo,
      MemorySegment dx,
      long dxo,
      int n) {
    MemorySegment s = Scratch.get().words(Scratch.PASSES, BLOCK);
    MemorySegment t = Scratch.get().words(Scratch.PASSES + 1, BLOCK);
    switch (op) {
      case SILU -> {
        UnaryKernels.Kernels.sigmoid(x, xo, s, 0, n);
        Kernels.silu(x, xo, s, dy, dyo, dx, dxo, n);
      }
      case GELU_TANH -> {
        UnaryKernels.Kernels.geluExponent(x, xo, s, 0, n);
        Kernels.logistic(s, n);
        Kernels.geluTanh(x, xo, s, dy, dyo, dx, dxo, n);
      }
      case GELU_ERF -> {
        UnaryKernels.Kernels.geluErfArgument(x, xo, t, 0, n);
        UnaryKernels.erf(t, 0, s, t, 0, n);
        Kernels.gauss(x, xo, s, n);
        Kernels.geluErf(x, xo, s, t, dy, dyo, dx, dxo, n);
      }
      default -> throw new AssertionError(op);
    }
  }

  /// As [#run], for any number of elements.
  static void row(
      Unary op,
      MemorySegment x,
      long xo,
      MemorySegment dy,
      long dyo,
      MemorySegment dx,
      long dxo,
      int n) {
    int body = n & -Simd.LANES;
    run(op, x, xo, dy, dyo, dx, dxo, body);
    for (int i = body; i < n; i++) {
      float u = x.get(JAVA_FLOAT, xo + 4L * i);
      float v = dy.get(JAVA_FLOAT, dyo + 4L * i);
      dx.set(JAVA_FLOAT, dxo + 4L * i, apply(op, u, v));
    }
  }

  /// One element.
  static float apply(Unary op, float x, float dy) {
    return switch (op) {
      case NEGATE -> -dy;
      case ABS -> UnaryKernels.apply(Unary.SIGN, x) * dy;
      case SIGN -> 0 * dy;
      case SQUARE -> (x + x) * dy;
      case SQRT -> dy / (x + x);
      case RSQRT -> x * x * x * -0.5f * dy;
      case RECIPROCAL -> -(x * x) * dy;
      case EXP -> x * dy;
      case LOG -> dy / x;
      case TANH -> (1 - x * x) * dy;
      case SIGMOID -> (1 - x) * x * dy;
      case SOFTPLUS -> ScalarMath.sigmoid(x) * dy;
      case RELU -> (x > 0 ? 1f : 0f) * dy;
      case SILU -> silu(x) * dy;
      case GELU_TANH -> geluTanh(x) * dy;
      case GELU_ERF -> geluErf(x) * dy;
      case ERF -> gauss(x, -1f) * TWO_OVER_SQRT_PI * dy;
      case SIN -> (float) StrictMath.cos(x) * dy;
      case COS -> -(float) StrictMath.sin(x) * dy;
    };
  }

  // With s = sigmoid(x): s + x·s(1 − s) = s(1 + x(1 − s)).
  private static float silu(float x) {
    float s = ScalarMath.sigmoid(x);
    return Math.fma(x, 1 - s, 1) * s;
  }

  // ½(1 + tanh(u)) is s = sigmoid(2u), so the derivative is s + x·s(1 − s)·2u′ with 2u = 2√(2/π)(x
  // +
  // 0.044715x³).
  private static float geluTanh(float x) {
    float square = x * x;
    float twoU = TWO_SQRT_2_OVER_PI * Math.fma(square * GELU_CUBIC, x, x);
    float s = 1 / (1 + ScalarMath.exp(-twoU));
    float slope = TWO_SQRT_2_OVER_PI * Math.fma(square, 3 * GELU_CUBIC, 1);
    return Math.fma((1 - s) * s * slope, x, s);
  }

  // ½(1 + erf(x/√2)) + x·exp(−x²/2)/√(2π).
  private static float geluErf(float x) {
    float half = Math.fma(ScalarMath.erf(x * SQRT_HALF), 0.5f, 0.5f);
    return Math.fma(gauss(x, -0.5f) * INVERSE_SQRT_2_PI, x, half);
  }

  private static float gauss(float x, float factor) {
    return ScalarMath.exp(x * x * factor);
  }

  private static final class Kernels {
    static void abs(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(UnaryKernels.Kernels.sign(u).mul(v), dx, dxo + 4L * i);
      }
    }

    static void square(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(u.add(u).mul(v), dx, dxo + 4L * i);
      }
    }

    static void sqrt(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(v.div(u.add(u)), dx, dxo + 4L * i);
      }
    }

    static void rsqrt(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(u.mul(u).mul(u).mul(-0.5f).mul(v), dx, dxo + 4L * i);
      }
    }

    static void reciprocal(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(u.mul(u).neg().mul(v), dx, dxo + 4L * i);
      }
    }

    static void exp(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(u.mul(v), dx, dxo + 4L * i);
      }
    }

    static void log(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(v.div(u), dx, dxo + 4L * i);
      }
    }

    static void tanh(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(all(1f).sub(u.mul(u)).mul(v), dx, dxo + 4L * i);
      }
    }

    static void sigmoid(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(all(1f).sub(u).mul(u).mul(v), dx, dxo + 4L * i);
      }
    }

    static void softplus(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(VectorMath.sigmoid(u).mul(v), dx, dxo + 4L * i);
      }
    }

    static void relu(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(all(0f).blend(1f, u.compare(VectorOperators.GT, 0f)).mul(v), dx, dxo + 4L * i);
      }
    }

    static void erf(
        MemorySegment x, long xo, MemorySegment dy, long dyo, MemorySegment dx, long dxo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(dy, dyo + 4L * i);
        store(gauss(u, -1f).mul(TWO_OVER_SQRT_PI).mul(v), dx, dxo + 4L * i);
      }
    }

    static void silu(
        MemorySegment x,
        long xo,
        MemorySegment sigmoid,
        MemorySegment dy,
        long dyo,
        MemorySegment dx,
        long dxo,
        int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector s = load(sigmoid, 4L * i);
        FloatVector d = load(x, xo + 4L * i).fma(all(1f).sub(s), all(1f)).mul(s);
        store(d.mul(load(dy, dyo + 4L * i)), dx, dxo + 4L * i);
      }
    }

    /// `x = 1 / (1 + exp(x))`
    static void logistic(MemorySegment x, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(all(1f).div(VectorMath.exp(load(x, 4L * i)).add(1f)), x, 4L * i);
      }
    }

    static void geluTanh(
        MemorySegment x,
        long xo,
        MemorySegment sigmoid,
        MemorySegment dy,
        long dyo,
        MemorySegment dx,
        long dxo,
        int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector s = load(sigmoid, 4L * i);
        FloatVector slope = u.mul(u).fma(all(3 * GELU_CUBIC), all(1f)).mul(TWO_SQRT_2_OVER_PI);
        FloatVector d = all(1f).sub(s).mul(s).mul(slope).fma(u, s);
        store(d.mul(load(dy, dyo + 4L * i)), dx, dxo + 4L * i);
      }
    }

    /// `y = exp(−x²/2)`
    static void gauss(MemorySegment x, long xo, MemorySegment y, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(gauss(load(x, xo + 4L * i), -0.5f), y, 4L * i);
      }
    }

    static void geluErf(
        MemorySegment x,
        long xo,
        MemorySegment gauss,
        MemorySegment erf,
        MemorySegment dy,
        long dyo,
        MemorySegment dx,
        long dxo,
        int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector half = load(erf, 4L * i).fma(all(0.5f), all(0.5f));
        FloatVector slope = load(gauss, 4L * i).mul(INVERSE_SQRT_2_PI);
        FloatVector d = slope.fma(load(x, xo + 4L * i), half);
        store(d.mul(load(dy, dyo + 4L * i)), dx, dxo + 4L * i);
      }
    }

    private static FloatVector gauss(FloatVector x, float factor) {
      return VectorMath.exp(x.mul(x).mul(factor));
    }
  }
}
