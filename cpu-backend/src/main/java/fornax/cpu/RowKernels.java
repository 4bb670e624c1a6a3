package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static fornax.cpu.Vectors.tail;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// Kernels over rows of floats of any length, the parts that softmax, normalisation, losses and
/// reductions are made of. An operand `x` is the segment `xs` from byte `xo` on.
///
/// A sum runs in [Rows#PARTIALS] partial sums, element `i` into number `i mod 32`, which are then
/// folded pairwise; rows longer than a block are added up block by block in double precision. So
/// vectors of any width and scalars give the same bits, and the error is that of pairwise
/// summation.
final class RowKernels {
  private static final int PARTIALS = Rows.PARTIALS;
  private static final int BLOCK = BlockLoop.BLOCK;

  /// −∞ by [#ordered].
  static final int ORDERED_MINUS_INFINITY =
      ordered(Float.floatToRawIntBits(Float.NEGATIVE_INFINITY));

  private RowKernels() {}

  // ---- elementwise

  /// `y = x − shift`
  static void subtract(MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      loop(Loop.SUBTRACT, xs, xo, xs, xo, ys, yo, shift, 0, 0, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, x - shift);
    }
  }

  /// `y = x·factor`
  static void scale(MemorySegment xs, long xo, float factor, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      loop(Loop.SCALE, xs, xo, xs, xo, ys, yo, factor, 0, 0, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, x * factor);
    }
  }

  /// `y = y + x`
  static void add(MemorySegment xs, long xo, MemorySegment ys, long yo, int n) {
    add(ys, yo, xs, xo, ys, yo, n);
  }

  /// `y = a + b`
  static void add(
      MemorySegment as, long ao, MemorySegment bs, long bo, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      loop(Loop.ADD, as, ao, bs, bo, ys, yo, 0, 0, 0, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float a = as.get(JAVA_FLOAT, ao + 4L * i);
      float b = bs.get(JAVA_FLOAT, bo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, a + b);
    }
  }

  /// `dx = dy − exp(y)·sum`; dx may be dy. The exponential is [ScalarMath#expNormal] here and
  /// below.
  static void logSoftmaxGradient(
      MemorySegment ys,
      long yo,
      MemorySegment gs,
      long go,
      float sum,
      MemorySegment ds,
      long to,
      int n) {
    if (!Simd.AVAILABLE) {
      for (int i = 0; i < n; i++) {
        float e = ScalarMath.expNormal(ys.get(JAVA_FLOAT, yo + 4L * i));
        ds.set(JAVA_FLOAT, to + 4L * i, gs.get(JAVA_FLOAT, go + 4L * i) - e * sum);
      }
      return;
    }
    int body = n & -Simd.LANES;
    loop(Loop.LOG_SOFTMAX_GRADIENT, ys, yo, gs, go, ds, to, sum, 0, 0, body);
    if (body < n) {
      MemorySegment y = padded(Scratch.TAILS, ys, yo + 4L * body, n - body, Simd.LANES);
      MemorySegment g = padded(Scratch.TAILS + 1, gs, go + 4L * body, n - body, Simd.LANES);
      loop(Loop.LOG_SOFTMAX_GRADIENT, y, 0, g, 0, g, 0, sum, 0, 0, Simd.LANES);
      MemorySegment.copy(g, 0, ds, to + 4L * body, 4L * (n - body));
    }
  }

  /// `dx = (exp(x − shift) − rest)·factor`; dx may be x.
  static void crossEntropyGradient(
      MemorySegment xs,
      long xo,
      float shift,
      float rest,
      float factor,
      MemorySegment ds,
      long to,
      int n) {
    if (!Simd.AVAILABLE) {
      for (int i = 0; i < n; i++) {
        float e = ScalarMath.expNormal(xs.get(JAVA_FLOAT, xo + 4L * i) - shift);
        ds.set(JAVA_FLOAT, to + 4L * i, (e - rest) * factor);
      }
      return;
    }
    int body = n & -Simd.LANES;
    loop(Loop.CROSS_ENTROPY_GRADIENT, xs, xo, xs, xo, ds, to, shift, rest, factor, body);
    if (body < n) {
      MemorySegment x = padded(Scratch.TAILS, xs, xo + 4L * body, n - body, Simd.LANES);
      loop(Loop.CROSS_ENTROPY_GRADIENT, x, 0, x, 0, x, 0, shift, rest, factor, Simd.LANES);
      MemorySegment.copy(x, 0, ds, to + 4L * body, 4L * (n - body));
    }
  }

  // The n floats at xo in a scratch slot, and −∞, which is 0 in a sum of exponentials, up to
  // `size`.
  private static MemorySegment padded(int slot, MemorySegment xs, long xo, int n, int size) {
    MemorySegment block = Scratch.get().words(slot, size);
    MemorySegment.copy(xs, xo, block, 0, 4L * n);
    for (int i = n; i < size; i++) {
      block.set(JAVA_FLOAT, 4L * i, Float.NEGATIVE_INFINITY);
    }
    return block;
  }

  // ---- reductions

  /// `Σ x`.
  static double sum(MemorySegment xs, long xo, int n) {
    MemorySegment partials = Scratch.get().partials();
    if (n <= BLOCK) {
      return sumBlock(xs, xo, n, partials);
    }
    double sum = 0;
    for (int i = 0; i < n; i += BLOCK) {
      sum += sumBlock(xs, xo + 4L * i, Math.min(BLOCK, n - i), partials);
    }
    return sum;
  }

  /// `Σ a·b`.
  static double dot(MemorySegment as, long ao, MemorySegment bs, long bo, int n) {
    MemorySegment partials = Scratch.get().partials();
    double sum = 0;
    for (int i = 0; i < n; i += BLOCK) {
      int block = Math.min(BLOCK, n - i);
      sum += dotBlock(as, ao + 4L * i, bs, bo + 4L * i, block, partials);
    }
    return sum;
  }

  /// `Σ exp(x − shift)`; the terms are stored nowhere.
  static double sumExp(MemorySegment xs, long xo, float shift, int n) {
    MemorySegment partials = Scratch.get().partials();
    double sum = 0;
    for (int i = 0; i < n; i += BLOCK) {
      sum += sumExpBlock(xs, xo + 4L * i, shift, Math.min(BLOCK, n - i), partials);
    }
    return sum;
  }

  private static float sumExpBlock(
      MemorySegment xs, long xo, float shift, int n, MemorySegment partials) {
    if (!Simd.AVAILABLE) {
      MemorySegment terms = Scratch.get().words(Scratch.TEMPORARIES, BLOCK);
      for (int i = 0; i < n; i++) {
        float x = xs.get(JAVA_FLOAT, xo + 4L * i);
        terms.set(JAVA_FLOAT, 4L * i, ScalarMath.expNormal(x - shift));
      }
      return sumBlock(terms, 0, n, partials);
    }
    int size = roundUp(n);
    if (n < size) {
      MemorySegment x = padded(Scratch.TEMPORARIES, xs, xo, n, size);
      return loop(Loop.SUM_EXP, x, 0, x, 0, partials, 0, shift, 0, 0, size);
    }
    return loop(Loop.SUM_EXP, xs, xo, xs, xo, partials, 0, shift, 0, 0, n);
  }

  private static int roundUp(int n) {
    return n + PARTIALS - 1 & -PARTIALS;
  }

  private static float sumBlock(MemorySegment xs, long xo, int n, MemorySegment partials) {
    if (Simd.AVAILABLE) {
      return loop(Loop.SUM, xs, xo, xs, xo, partials, 0, 0, 0, 0, n);
    }
    partials.asSlice(0, 4L * PARTIALS).fill((byte) 0);
    for (int i = 0; i < n; i++) {
      long k = 4L * (i % PARTIALS);
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      partials.set(JAVA_FLOAT, k, partials.get(JAVA_FLOAT, k) + x);
    }
    return foldSum(partials);
  }

  private static float dotBlock(
      MemorySegment as, long ao, MemorySegment bs, long bo, int n, MemorySegment partials) {
    if (Simd.AVAILABLE) {
      return loop(Loop.DOT, as, ao, bs, bo, partials, 0, 0, 0, 0, n);
    }
    partials.asSlice(0, 4L * PARTIALS).fill((byte) 0);
    for (int i = 0; i < n; i++) {
      long k = 4L * (i % PARTIALS);
      float a = as.get(JAVA_FLOAT, ao + 4L * i);
      float b = bs.get(JAVA_FLOAT, bo + 4L * i);
      partials.set(JAVA_FLOAT, k, Math.fma(a, b, partials.get(JAVA_FLOAT, k)));
    }
    return foldSum(partials);
  }

  private static float foldSum(MemorySegment partials) {
    for (int half = PARTIALS / 2; half > 0; half >>= 1) {
      for (int i = 0; i < half; i++) {
        float sum = partials.get(JAVA_FLOAT, 4L * i) + partials.get(JAVA_FLOAT, 4L * (i + half));
        partials.set(JAVA_FLOAT, 4L * i, sum);
      }
    }
    return partials.get(JAVA_FLOAT, 0);
  }

  /// The largest of x, −∞ of nothing. A NaN may be passed over or be the largest.
  static float max(MemorySegment xs, long xo, int n) {
    if (Simd.AVAILABLE) {
      return loop(Loop.MAX, xs, xo, xs, xo, xs, xo, 0, 0, 0, n);
    }
    int max = ORDERED_MINUS_INFINITY;
    for (int i = 0; i < n; i++) {
      max = Math.max(max, ordered(xs.get(JAVA_INT, xo + 4L * i)));
    }
    return Float.intBitsToFloat(ordered(max));
  }

  /// Turns the bits of floats into integers in the same order, and back.
  static int ordered(int bits) {
    return bits ^ bits >> 31 & Integer.MAX_VALUE;
  }

  /// The smallest of x, +∞ of nothing; NaNs are passed over.
  static float min(MemorySegment xs, long xo, int n) {
    MemorySegment block = Scratch.get().words(Scratch.TEMPORARIES, BLOCK);
    float min = Float.POSITIVE_INFINITY;
    for (int i = 0; i < n; i += BLOCK) {
      int length = Math.min(BLOCK, n - i);
      scale(xs, xo + 4L * i, -1, block, 0, length);
      min = Math.min(min, -max(block, 0, length));
    }
    return min;
  }

  /// Whether some x is NaN.
  static boolean anyNaN(MemorySegment xs, long xo, int n) {
    if (Simd.AVAILABLE) {
      return loop(Loop.ANY_NAN, xs, xo, xs, xo, xs, xo, 0, 0, 0, n) != 0;
    }
    for (int i = 0; i < n; i++) {
      if (Float.isNaN(xs.get(JAVA_FLOAT, xo + 4L * i))) {
        return true;
      }
    }
    return false;
  }

  @CanIgnoreReturnValue // 0 from loops that write y
  private static float loop(
      Loop which,
      MemorySegment a,
      long ao,
      MemorySegment b,
      long bo,
      MemorySegment y,
      long yo,
      float p,
      float q,
      float r,
      int n) {
    return VectorLoop.call(Loop.LOOPS, which, a, ao, b, bo, y, yo, p, q, r, n);
  }

  /// Loaded only where there are vectors.
  private enum Loop {
    SUBTRACT(
        (as, ao, bs, bo, y, yo, p, q, r, n) -> {
          FloatVector first = all(p);
          int body = n & -LANES;
          for (int i = 0; i < body; i += LANES) {
            FloatVector a = load(as, ao + 4L * i);
            store(a.sub(first), y, yo + 4L * i);
          }
          if (body < n) {
            VectorMask<Float> mask = tail(body, n);
            FloatVector a = load(as, ao + 4L * body, mask);
            store(a.sub(first), y, yo + 4L * body, mask);
          }
          return 0;
        }),
    SCALE(
        (as, ao, bs, bo, y, yo, p, q, r, n) -> {
          FloatVector first = all(p);
          int body = n & -LANES;
          for (int i = 0; i < body; i += LANES) {
            FloatVector a = load(as, ao + 4L * i);
            store(a.mul(first), y, yo + 4L * i);
          }
          if (body < n) {
            VectorMask<Float> mask = tail(body, n);
            FloatVector a = load(as, ao + 4L * body, mask);
            store(a.mul(first), y, yo + 4L * body, mask);
          }
          return 0;
        }),
    ADD(
        (as, ao, bs, bo, y, yo, p, q, r, n) -> {
          int body = n & -LANES;
          for (int i = 0; i < body; i += LANES) {
            FloatVector a = load(as, ao + 4L * i);
            FloatVector b = load(bs, bo + 4L * i);
            store(a.add(b), y, yo + 4L * i);
          }
          if (body < n) {
            VectorMask<Float> mask = tail(body, n);
            FloatVector a = load(as, ao + 4L * body, mask);
            FloatVector b = load(bs, bo + 4L * body, mask);
            store(a.add(b), y, yo + 4L * body, mask);
          }
          return 0;
        }),
    // The next three take whole vectors; the sum, a whole number of partial sums.
    LOG_SOFTMAX_GRADIENT(
        (as, ao, bs, bo, y, yo, p, q, r, n) -> {
          FloatVector first = all(p);
          for (int i = 0; i < n; i += LANES) {
            FloatVector e = VectorMath.expNormal(load(as, ao + 4L * i));
            store(load(bs, bo + 4L * i).sub(e.mul(first)), y, yo + 4L * i);
          }
          return 0;
        }),
    CROSS_ENTROPY_GRADIENT(
        (as, ao, bs, bo, y, yo, p, q, r, n) -> {
          FloatVector first = all(p);
          FloatVector second = all(q);
          FloatVector third = all(r);
          for (int i = 0; i < n; i += LANES) {
            FloatVector e = VectorMath.expNormal(load(as, ao + 4L * i).sub(first));
            store(e.sub(second).mul(third), y, yo + 4L * i);
          }
          return 0;
        }),
    SUM_EXP((x, xo, b, bo, partials, yo, p, q, r, n) -> sumExp(x, xo, p, n, partials)),
    SUM((x, xo, b, bo, partials, yo, p, q, r, n) -> VectorSums.sum(x, xo, 0, n, partials)),
    DOT((a, ao, b, bo, partials, yo, p, q, r, n) -> VectorSums.dot(a, ao, b, bo, 0, n, partials)),
    MAX((x, xo, b, bo, y, yo, p, q, r, n) -> VectorMax.of(x, xo, n)),
    ANY_NAN((x, xo, b, bo, y, yo, p, q, r, n) -> anyNaN(x, xo, n) ? 1 : 0);

    static final VectorLoop.OfRow[] LOOPS =
        Arrays.stream(values()).map(value -> value.loop).toArray(VectorLoop.OfRow[]::new);

    private final VectorLoop.OfRow loop;

    Loop(VectorLoop.OfRow loop) {
      this.loop = loop;
    }

    static float sumExp(MemorySegment xs, long xo, float shift, int n, MemorySegment partials) {
      FloatVector m = all(shift);
      for (int k = 0; k < PARTIALS; k += LANES) {
        FloatVector s = all(0);
        for (int i = k; i < n; i += PARTIALS) {
          s = s.add(VectorMath.expNormal(load(xs, xo + 4L * i).sub(m)));
        }
        store(s, partials, 4L * k);
      }
      return Vectors.foldSum(partials);
    }

    static boolean anyNaN(MemorySegment xs, long xo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        if (x.compare(VectorOperators.NE, x).anyTrue()) {
          return true;
        }
      }
      FloatVector x = load(xs, xo + 4L * body, tail(body, n));
      return x.compare(VectorOperators.NE, x).anyTrue();
    }
  }
}
