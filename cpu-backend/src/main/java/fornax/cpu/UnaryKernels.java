package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The elementwise functions of one argument on blocks of words (see [BlockLoop]): `y = op(x)`.
/// Vectors and scalars give the same bits.
final class UnaryKernels {
  private static final int BLOCK = BlockLoop.BLOCK;

  private UnaryKernels() {}

  static void run(Unary op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    if (!Simd.AVAILABLE || op == Unary.SIN || op == Unary.COS) {
      for (int i = 0; i < n; i++) {
        y.set(JAVA_FLOAT, yo + 4L * i, apply(op, x.get(JAVA_FLOAT, xo + 4L * i)));
      }
      return;
    }
    switch (op) {
      case NEGATE -> Kernels.negate(x, xo, y, yo, n);
      case ABS -> Kernels.abs(x, xo, y, yo, n);
      case SIGN -> Kernels.sign(x, xo, y, yo, n);
      case SQUARE -> Kernels.square(x, xo, y, yo, n);
      case SQRT -> Kernels.sqrt(x, xo, y, yo, n);
      case RSQRT -> Kernels.rsqrt(x, xo, y, yo, n);
      case RECIPROCAL -> Kernels.reciprocal(x, xo, y, yo, n);
      case EXP -> Kernels.exp(x, xo, y, yo, n);
      case LOG -> Kernels.log(x, xo, y, yo, n);
      case SIGMOID -> Kernels.sigmoid(x, xo, y, yo, n);
      case RELU -> Kernels.relu(x, xo, y, yo, n);
      case SILU -> Kernels.silu(x, xo, y, yo, n);
      case TANH, SOFTPLUS, GELU_TANH, GELU_ERF, ERF -> {
        for (int i = 0; i < n; i += BLOCK) {
          long at = 4L * i;
          runPasses(op, x, xo + at, y, yo + at, Math.min(BLOCK, n - i));
        }
      }
      case SIN, COS -> throw new AssertionError(op);
    }
  }

  // Several loops over a block in the first-level cache: see VectorMath.
  private static void runPasses(
      Unary op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    MemorySegment s = Scratch.get().words(Scratch.PASSES, BLOCK);
    MemorySegment t = Scratch.get().words(Scratch.PASSES + 1, BLOCK);
    switch (op) {
      case TANH -> {
        Kernels.tanhExp(x, xo, s, 0, n);
        Kernels.tanh(x, xo, s, 0, y, yo, n);
      }
      case SOFTPLUS -> {
        Kernels.softplusExp(x, xo, s, 0, n);
        Kernels.addOne(s, 0, t, 0, n);
        Kernels.log(t, 0, t, 0, n);
        Kernels.softplus(x, xo, s, 0, t, 0, y, yo, n);
      }
      case GELU_TANH -> {
        Kernels.geluExponent(x, xo, s, 0, n);
        Kernels.geluTanh(x, xo, s, 0, y, yo, n);
      }
      case ERF -> erf(x, xo, s, y, yo, n);
      case GELU_ERF -> {
        Kernels.geluErfArgument(x, xo, t, 0, n);
        erf(t, 0, s, t, 0, n);
        Kernels.geluErf(x, xo, t, 0, y, yo, n);
      }
      default -> throw new AssertionError(op);
    }
  }

  /// `y = erf(x)` for at most a block of whole vectors, by way of `scratch`.
  static void erf(
      MemorySegment x, long xo, MemorySegment scratch, MemorySegment y, long yo, int n) {
    Kernels.erfExponent(x, xo, scratch, 0, n);
    Kernels.exp(scratch, 0, scratch, 0, n);
    Kernels.erf(x, xo, scratch, 0, y, yo, n);
  }

  /// I32 words; NEGATE, ABS and SIGN only.
  static void runInts(Unary op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    for (int i = 0; i < n; i++) {
      int v = x.get(JAVA_INT, xo + 4L * i);
      int result =
          switch (op) {
            case NEGATE -> -v;
            case ABS -> Math.abs(v);
            case SIGN -> Integer.signum(v);
            default -> throw Elementwise.unsupported(op, "I32");
          };
      y.set(JAVA_INT, yo + 4L * i, result);
    }
  }

  /// One element.
  static float apply(Unary op, float x) {
    return switch (op) {
      case NEGATE -> -x;
      case ABS -> Math.abs(x);
      case SIGN -> x == 0 ? 0 : Math.signum(x);
      case SQUARE -> x * x;
      case SQRT -> (float) Math.sqrt(x);
      case RSQRT -> 1 / (float) Math.sqrt(x);
      case RECIPROCAL -> 1 / x;
      case EXP -> ScalarMath.exp(x);
      case LOG -> ScalarMath.log(x);
      case TANH -> ScalarMath.tanh(x);
      case SIGMOID -> ScalarMath.sigmoid(x);
      case SOFTPLUS -> softplus(x);
      case RELU -> x <= 0 ? 0 : x;
      case SILU -> x / (1 + ScalarMath.exp(-x));
      case GELU_TANH -> ScalarMath.geluTanh(x);
      case GELU_ERF -> ScalarMath.geluErf(x);
      case ERF -> ScalarMath.erf(x);
      case SIN -> (float) StrictMath.sin(x);
      case COS -> (float) StrictMath.cos(x);
    };
  }

  // With u = 1 + e rounded, log(1 + e) = log(u) + (e − (u − 1)) / u but for terms of second order.
  private static float softplus(float x) {
    float e = ScalarMath.exp(-Math.abs(x));
    float u = 1 + e;
    float log = ScalarMath.log(u) + (e - (u - 1)) / u;
    return (x <= 0 ? 0 : x) + log;
  }

  static final class Kernels {
    static void negate(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, xo + 4L * i).neg(), y, yo + 4L * i);
      }
    }

    static void abs(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, xo + 4L * i).abs(), y, yo + 4L * i);
      }
    }

    static void sign(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(sign(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void square(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(square(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void sqrt(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, xo + 4L * i).sqrt(), y, yo + 4L * i);
      }
    }

    static void rsqrt(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(all(1).div(load(x, xo + 4L * i).sqrt()), y, yo + 4L * i);
      }
    }

    static void reciprocal(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(all(1).div(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void exp(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.exp(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void log(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.log(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void sigmoid(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.sigmoid(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void relu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(relu(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void silu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(silu(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void tanhExp(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.tanhExp(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void tanh(
        MemorySegment x, long xo, MemorySegment s, long so, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(s, so + 4L * i);
        store(VectorMath.tanh(u, v), y, yo + 4L * i);
      }
    }

    static void erfExponent(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.erfExponent(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void erf(
        MemorySegment x, long xo, MemorySegment s, long so, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(s, so + 4L * i);
        store(VectorMath.erf(u, v), y, yo + 4L * i);
      }
    }

    static void geluExponent(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.geluExponent(load(x, xo + 4L * i)), y, yo + 4L * i);
      }
    }

    static void geluTanh(
        MemorySegment x, long xo, MemorySegment s, long so, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(s, so + 4L * i);
        store(u.div(VectorMath.exp(v).add(1f)), y, yo + 4L * i);
      }
    }

    static void geluErfArgument(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, xo + 4L * i).mul(ScalarMath.SQRT_HALF), y, yo + 4L * i);
      }
    }

    static void geluErf(
        MemorySegment x, long xo, MemorySegment s, long so, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector u = load(x, xo + 4L * i);
        FloatVector v = load(s, so + 4L * i);
        store(u.mul(0.5f).fma(v, u.mul(0.5f)), y, yo + 4L * i);
      }
    }

    static void softplusExp(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(VectorMath.exp(load(x, xo + 4L * i).abs().neg()), y, yo + 4L * i);
      }
    }

    static void addOne(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
      for (int i = 0; i < n; i += LANES) {
        store(load(x, xo + 4L * i).add(1f), y, yo + 4L * i);
      }
    }

    static void softplus(
        MemorySegment x,
        long xo,
        MemorySegment s,
        long so,
        MemorySegment t,
        long to,
        MemorySegment y,
        long yo,
        int n) {
      for (int i = 0; i < n; i += LANES) {
        FloatVector e = load(s, so + 4L * i);
        FloatVector u = e.add(1f);
        FloatVector log = load(t, to + 4L * i).add(e.sub(u.sub(1f)).div(u));
        store(relu(load(x, xo + 4L * i)).add(log), y, yo + 4L * i);
      }
    }

    private static FloatVector square(FloatVector x) {
      return x.mul(x);
    }

    static FloatVector sign(FloatVector x) {
      return x.blend(0f, x.compare(VectorOperators.EQ, 0f))
          .blend(1f, x.compare(VectorOperators.GT, 0f))
          .blend(-1f, x.compare(VectorOperators.LT, 0f));
    }

    private static FloatVector relu(FloatVector x) {
      return x.blend(0f, x.compare(VectorOperators.LE, 0f));
    }

    private static FloatVector silu(FloatVector x) {
      return x.div(VectorMath.exp(x.neg()).add(1f));
    }
  }
}
