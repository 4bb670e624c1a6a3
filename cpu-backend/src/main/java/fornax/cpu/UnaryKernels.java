package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/// The elementwise functions of one argument on blocks of words (see [BlockLoop]): `y = op(x)`.
/// Vectors and scalars give the same bits. Functions of an exponential take several loops over a
/// block in the first-level cache (see [VectorLoop] for why).
final class UnaryKernels {
  private static final int BLOCK = BlockLoop.BLOCK;

  private UnaryKernels() {}

  static void run(Unary op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    if (Simd.AVAILABLE && op != Unary.SIN && op != Unary.COS) {
      for (int i = 0; i < n; i += BLOCK) {
        runBlock(op, x, xo + 4L * i, y, yo + 4L * i, Math.min(BLOCK, n - i));
      }
      return;
    }
    for (int i = 0; i < n; i++) {
      y.set(JAVA_FLOAT, yo + 4L * i, apply(op, x.get(JAVA_FLOAT, xo + 4L * i)));
    }
  }

  private static void runBlock(
      Unary op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    MemorySegment s = Scratch.get().words(Scratch.PASSES, BLOCK);
    MemorySegment t = Scratch.get().words(Scratch.PASSES + 1, BLOCK);
    switch (op) {
      case NEGATE -> one(One.NEGATE, x, xo, y, yo, n);
      case ABS -> one(One.ABS, x, xo, y, yo, n);
      case SIGN -> one(One.SIGN, x, xo, y, yo, n);
      case SQUARE -> one(One.SQUARE, x, xo, y, yo, n);
      case SQRT -> one(One.SQRT, x, xo, y, yo, n);
      case RSQRT -> one(One.RSQRT, x, xo, y, yo, n);
      case RECIPROCAL -> one(One.RECIPROCAL, x, xo, y, yo, n);
      case EXP -> one(One.EXP, x, xo, y, yo, n);
      case LOG -> one(One.LOG, x, xo, y, yo, n);
      case RELU -> one(One.RELU, x, xo, y, yo, n);
      case TANH -> {
        one(One.EXP_TWICE_ABS, x, xo, s, 0, n);
        two(Two.TANH, x, xo, s, 0, y, yo, n);
      }
      case SIGMOID -> sigmoid(x, xo, y, yo, n);
      case SOFTPLUS -> {
        one(One.EXP_MINUS_ABS, x, xo, s, 0, n);
        one(One.ONE_MORE, s, 0, t, 0, n);
        one(One.LOG, t, 0, t, 0, n);
        two(Two.LOG_CORRECTED, t, 0, s, 0, t, 0, n);
        two(Two.ADD_RELU, x, xo, t, 0, y, yo, n);
      }
      case SILU -> one(One.SILU, x, xo, y, yo, n);
      case GELU_TANH -> one(One.GELU_TANH, x, xo, y, yo, n);
      case GELU_ERF -> {
        erfOfScaled(x, xo, t, n);
        two(Two.GELU_ERF, x, xo, t, 0, y, yo, n);
      }
      case ERF -> erf(x, xo, y, yo, n);
      case SIN, COS -> throw new AssertionError(op);
    }
  }

  // The parts that gradients share. Each takes at most a block of whole vectors.

  /// `y = exp(x)`, see [ScalarMath#expNormal].
  static void exp(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    one(One.EXP_NORMAL, x, xo, y, yo, n);
  }

  /// `y = 1 / (1 + exp(−x))`
  static void sigmoid(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    one(One.SIGMOID, x, xo, y, yo, n);
  }

  /// `y = ½(1 + tanh(√(2/π)(x + 0.044715x³)))`, the factor of `x` in GELU.
  static void geluFactor(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    one(One.GELU_FACTOR, x, xo, y, yo, n);
  }

  /// `y = erf(x/√2)`, y in scratch
  static void erfOfScaled(MemorySegment x, long xo, MemorySegment y, int n) {
    one(One.OVER_SQRT_2, x, xo, y, 0, n);
    erf(y, 0, y, 0, n);
  }

  private static void erf(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    MemorySegment e = Scratch.get().words(Scratch.PASSES + 2, BLOCK);
    one(One.ERF_EXPONENT, x, xo, e, 0, n);
    one(One.EXP_NORMAL, e, 0, e, 0, n);
    two(Two.ERF, x, xo, e, 0, y, yo, n);
  }

  private static void one(One which, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
    VectorLoop.call(One.LOOPS, which, x, xo, y, yo, n);
  }

  private static void two(
      Two which,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      int n) {
    VectorLoop.call(Two.LOOPS, which, a, ao, b, bo, y, yo, n);
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
      case SILU -> x / (1 + ScalarMath.expNormal(-x));
      case GELU_TANH -> ScalarMath.geluTanh(x);
      case GELU_ERF -> ScalarMath.geluErf(x);
      case ERF -> ScalarMath.erf(x);
      case SIN -> (float) StrictMath.sin(x);
      case COS -> (float) StrictMath.cos(x);
    };
  }

  // With u = 1 + e rounded, log(1 + e) = log(u) + (e − (u − 1)) / u but for terms of second order.
  private static float softplus(float x) {
    float e = ScalarMath.expNormal(-Math.abs(x));
    float u = 1 + e;
    float log = ScalarMath.log(u) + (e - (u - 1)) / u;
    return (x <= 0 ? 0 : x) + log;
  }

  /// Loaded only where there are vectors, as [Two].
  private enum One {
    NEGATE(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(load(x, xo + 4L * i).neg(), y, yo + 4L * i);
          }
        }),
    ABS(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(load(x, xo + 4L * i).abs(), y, yo + 4L * i);
          }
        }),
    SIGN(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(sign(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    SQUARE(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(square(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    SQRT(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(load(x, xo + 4L * i).sqrt(), y, yo + 4L * i);
          }
        }),
    RSQRT(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(all(1).div(load(x, xo + 4L * i).sqrt()), y, yo + 4L * i);
          }
        }),
    RECIPROCAL(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(all(1).div(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    EXP(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.exp(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    LOG(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.log(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    RELU(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(relu(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    ONE_MORE(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(load(x, xo + 4L * i).add(1f), y, yo + 4L * i);
          }
        }),
    EXP_NORMAL(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.expNormal(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    EXP_TWICE_ABS(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.expNormal(twice(load(x, xo + 4L * i).abs())), y, yo + 4L * i);
          }
        }),
    EXP_MINUS_ABS(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.expNormal(load(x, xo + 4L * i).abs().neg()), y, yo + 4L * i);
          }
        }),
    SIGMOID(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.sigmoid(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    SILU(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(silu(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    GELU_FACTOR(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(geluFactor(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    GELU_TANH(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.geluTanh(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    ERF_EXPONENT(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(VectorMath.erfExponent(load(x, xo + 4L * i)), y, yo + 4L * i);
          }
        }),
    OVER_SQRT_2(
        (x, xo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            store(load(x, xo + 4L * i).mul(ScalarMath.SQRT_HALF), y, yo + 4L * i);
          }
        });

    static final VectorLoop.OfOne[] LOOPS =
        Arrays.stream(values()).map(value -> value.loop).toArray(VectorLoop.OfOne[]::new);

    private final VectorLoop.OfOne loop;

    One(VectorLoop.OfOne loop) {
      this.loop = loop;
    }

    private static FloatVector square(FloatVector x) {
      return x.mul(x);
    }

    private static FloatVector twice(FloatVector x) {
      return x.add(x);
    }

    private static FloatVector silu(FloatVector x) {
      return x.div(VectorMath.expNormal(x.neg()).add(1f));
    }

    private static FloatVector geluFactor(FloatVector x) {
      return all(1f).div(VectorMath.expNormal(VectorMath.geluExponent(x)).add(1f));
    }
  }

  /// Loops over two arguments.
  private enum Two {
    TANH(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(VectorMath.tanh(u, v), y, yo + 4L * i);
          }
        }),
    ERF(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(VectorMath.erf(u, v), y, yo + 4L * i);
          }
        }),
    GELU_ERF(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.mul(0.5f).fma(v, u.mul(0.5f)), y, yo + 4L * i);
          }
        }),
    LOG_CORRECTED(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(u.add(v.sub(v.add(1f).sub(1f)).div(v.add(1f))), y, yo + 4L * i);
          }
        }),
    ADD_RELU(
        (a, ao, b, bo, y, yo, n) -> {
          for (int i = 0; i < n; i += LANES) {
            FloatVector u = load(a, ao + 4L * i);
            FloatVector v = load(b, bo + 4L * i);
            store(relu(u).add(v), y, yo + 4L * i);
          }
        });

    static final VectorLoop.OfTwo[] LOOPS =
        Arrays.stream(values()).map(value -> value.loop).toArray(VectorLoop.OfTwo[]::new);

    private final VectorLoop.OfTwo loop;

    Two(VectorLoop.OfTwo loop) {
      this.loop = loop;
    }
  }

  static FloatVector sign(FloatVector x) {
    return x.blend(0f, x.compare(VectorOperators.EQ, 0f))
        .blend(1f, x.compare(VectorOperators.GT, 0f))
        .blend(-1f, x.compare(VectorOperators.LT, 0f));
  }

  private static FloatVector relu(FloatVector x) {
    return x.blend(0f, x.compare(VectorOperators.LE, 0f));
  }
}
