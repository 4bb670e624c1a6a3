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
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The gradients of the elementwise functions on blocks of words: `dx = dy·op′`, where `op′` is
/// written in `y = op(x)` for the functions of [#usesResult(Unary)] and in `x` for the others; that
/// one is called `x` here. Vectors and scalars give the same bits.
final class UnaryGradientKernels {
  private static final int BLOCK = BlockLoop.BLOCK;
  private static final float SLOPE_SQUARE = 3 * GELU_CUBIC * TWO_SQRT_2_OVER_PI;
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
    if (Simd.AVAILABLE && op != Unary.SIN && op != Unary.COS) {
      for (int i = 0; i < n; i += BLOCK) {
        long at = 4L * i;
        runBlock(op, x, xo + at, dy, dyo + at, dx, dxo + at, Math.min(BLOCK, n - i));
      }
      return;
    }
    for (int i = 0; i < n; i++) {
      float u = x.get(JAVA_FLOAT, xo + 4L * i);
      float v = dy.get(JAVA_FLOAT, dyo + 4L * i);
      dx.set(JAVA_FLOAT, dxo + 4L * i, apply(op, u, v));
    }
  }

  private static void runBlock(
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
      case NEGATE -> UnaryKernels.run(Unary.NEGATE, dy, dyo, dx, dxo, n);
      case SIGN -> RowKernels.scale(dy, dyo, 0, dx, dxo, n);
      case ABS -> loop(Loop.ABS, x, xo, dy, dyo, dx, dxo, n);
      case SQUARE -> loop(Loop.SQUARE, x, xo, dy, dyo, dx, dxo, n);
      case SQRT -> loop(Loop.SQRT, x, xo, dy, dyo, dx, dxo, n);
      case RSQRT -> loop(Loop.RSQRT, x, xo, dy, dyo, dx, dxo, n);
      case RECIPROCAL -> loop(Loop.RECIPROCAL, x, xo, dy, dyo, dx, dxo, n);
      case EXP -> loop(Loop.EXP, x, xo, dy, dyo, dx, dxo, n);
      case LOG -> loop(Loop.LOG, x, xo, dy, dyo, dx, dxo, n);
      case TANH -> loop(Loop.TANH, x, xo, dy, dyo, dx, dxo, n);
      case SIGMOID -> loop(Loop.SIGMOID, x, xo, dy, dyo, dx, dxo, n);
      case RELU -> loop(Loop.RELU, x, xo, dy, dyo, dx, dxo, n);
      case SOFTPLUS -> {
        UnaryKernels.sigmoid(x, xo, s, 0, n);
        loop(Loop.EXP, s, 0, dy, dyo, dx, dxo, n);
      }
      case SILU -> {
        UnaryKernels.sigmoid(x, xo, s, 0, n);
        loop(Loop.SILU_SLOPE, x, xo, s, 0, s, 0, n);
        loop(Loop.EXP, s, 0, dy, dyo, dx, dxo, n);
      }
      case GELU_TANH -> {
        UnaryKernels.geluFactor(x, xo, s, 0, n);
        loop(Loop.GELU_TANH, x, xo, dy, dyo, dx, dxo, n);
      }
      case GELU_ERF -> {
        UnaryKernels.erfOfScaled(x, xo, t, n);
        loop(Loop.MINUS_HALF_SQUARE, x, xo, x, xo, s, 0, n);
        UnaryKernels.exp(s, 0, s, 0, n);
        loop(Loop.GAUSS, s, 0, s, 0, s, 0, n);
        loop(Loop.GELU_ERF_SLOPE, s, 0, x, xo, t, 0, n);
        loop(Loop.EXP, t, 0, dy, dyo, dx, dxo, n);
      }
      case ERF -> {
        loop(Loop.MINUS_SQUARE, x, xo, x, xo, s, 0, n);
        UnaryKernels.exp(s, 0, s, 0, n);
        loop(Loop.ERF, s, 0, dy, dyo, dx, dxo, n);
      }
      case SIN, COS -> throw new AssertionError(op);
    }
  }

  private static void loop(
      Loop which,
      MemorySegment x,
      long xo,
      MemorySegment dy,
      long dyo,
      MemorySegment dx,
      long dxo,
      int n) {
    VectorLoop.call(Loop.LOOPS, which, x, xo, dy, dyo, dx, dxo, n);
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
    float s = 1 / (1 + ScalarMath.expNormal(ScalarMath.geluExponent(x)));
    float slope = Math.fma(square, SLOPE_SQUARE, TWO_SQRT_2_OVER_PI) * x;
    return Math.fma((1 - s) * s, slope, s);
  }

  // ½(1 + erf(x/√2)) + x·exp(−x²/2)/√(2π).
  private static float geluErf(float x) {
    float half = Math.fma(ScalarMath.erf(x * SQRT_HALF), 0.5f, 0.5f);
    return Math.fma(gauss(x, -0.5f) * INVERSE_SQRT_2_PI, x, half);
  }

  private static float gauss(float x, float factor) {
    return ScalarMath.expNormal(x * x * factor);
  }

  /// Loaded only where there are vectors.
  private enum Loop {
    ABS(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(UnaryKernels.sign(u).mul(v), y, yo + 4L * i);
          }
        }),
    SQUARE(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.add(u).mul(v), y, yo + 4L * i);
          }
        }),
    SQRT(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(v.div(u.add(u)), y, yo + 4L * i);
          }
        }),
    RSQRT(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.mul(u).mul(u).mul(-0.5f).mul(v), y, yo + 4L * i);
          }
        }),
    RECIPROCAL(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.mul(u).neg().mul(v), y, yo + 4L * i);
          }
        }),
    EXP(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.mul(v), y, yo + 4L * i);
          }
        }),
    LOG(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(v.div(u), y, yo + 4L * i);
          }
        }),
    TANH(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(all(1f).sub(u.mul(u)).mul(v), y, yo + 4L * i);
          }
        }),
    SIGMOID(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(all(1f).sub(u).mul(u).mul(v), y, yo + 4L * i);
          }
        }),
    RELU(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(all(0f).blend(1f, u.compare(VectorOperators.GT, 0f)).mul(v), y, yo + 4L * i);
          }
        }),
    SILU_SLOPE(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.fma(all(1f).sub(v), all(1f)).mul(v), y, yo + 4L * i);
          }
        }),
    // The factor of x in the function's result lies in scratch.
    GELU_TANH(
        (a, ao, b, bo, y, yo, n) -> {
          MemorySegment factors = Scratch.get().words(Scratch.PASSES, BLOCK);
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector s = load(factors, 4L * i);
            store(geluSlope(u, s).mul(load(b, bo + 4L * i)), y, yo + 4L * i);
          }
        }),
    MINUS_HALF_SQUARE(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            store(u.mul(u).mul(-0.5f), y, yo + 4L * i);
          }
        }),
    MINUS_SQUARE(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            store(u.mul(u).neg(), y, yo + 4L * i);
          }
        }),
    GAUSS(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector v = load(b, bo + 4L * i);
            store(v.mul(INVERSE_SQRT_2_PI), y, yo + 4L * i);
          }
        }),
    GELU_ERF_SLOPE(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.fma(v, load(y, yo + 4L * i).fma(all(0.5f), all(0.5f))), y, yo + 4L * i);
          }
        }),
    ERF(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.mul(TWO_OVER_SQRT_PI).mul(v), y, yo + 4L * i);
          }
        });

    static final VectorLoop.OfTwo[] LOOPS =
        Arrays.stream(values()).map(value -> value.loop).toArray(VectorLoop.OfTwo[]::new);

    private final VectorLoop.OfTwo loop;

    Loop(VectorLoop.OfTwo loop) {
      this.loop = loop;
    }

    private static FloatVector geluSlope(FloatVector x, FloatVector s) {
      FloatVector slope = x.mul(x).fma(all(SLOPE_SQUARE), all(TWO_SQRT_2_OVER_PI)).mul(x);
      return all(1f).sub(s).mul(s).fma(slope, s);
    }
  }
}
