package fornax.cpu;

import static fornax.cpu.Vectors.LANES;
import static fornax.cpu.Vectors.all;
import static fornax.cpu.Vectors.load;
import static fornax.cpu.Vectors.store;
import static fornax.cpu.Vectors.tail;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
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

  private RowKernels() {}

  // ---- elementwise

  /// `y = exp(x − shift)`
  static void expShifted(MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      Kernels.expShifted(xs, xo, shift, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, ScalarMath.exp(x - shift));
    }
  }

  /// `y = x − shift`
  static void subtract(MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      Kernels.subtract(xs, xo, shift, ys, yo, n);
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
      Kernels.scale(xs, xo, factor, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, x * factor);
    }
  }

  /// `y = (x − shift)²`
  static void square(MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      Kernels.square(xs, xo, shift, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, (x - shift) * (x - shift));
    }
  }

  /// `y = (x − shift − rest)·factor`
  static void normalize(
      MemorySegment xs,
      long xo,
      float shift,
      float rest,
      float factor,
      MemorySegment ys,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.normalize(xs, xo, shift, rest, factor, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, (x - shift - rest) * factor);
    }
  }

  /// `y = a·b`
  static void multiply(
      MemorySegment as, long ao, MemorySegment bs, long bo, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      Kernels.multiply(as, ao, bs, bo, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float a = as.get(JAVA_FLOAT, ao + 4L * i);
      float b = bs.get(JAVA_FLOAT, bo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, a * b);
    }
  }

  /// `y = y + a·b`
  static void multiplyAdd(
      MemorySegment as, long ao, MemorySegment bs, long bo, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      Kernels.multiplyAdd(as, ao, bs, bo, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float a = as.get(JAVA_FLOAT, ao + 4L * i);
      float b = bs.get(JAVA_FLOAT, bo + 4L * i);
      float y = ys.get(JAVA_FLOAT, yo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, Math.fma(a, b, y));
    }
  }

  /// `y = y + x`
  static void add(MemorySegment xs, long xo, MemorySegment ys, long yo, int n) {
    if (Simd.AVAILABLE) {
      Kernels.add(xs, xo, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      float y = ys.get(JAVA_FLOAT, yo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, y + x);
    }
  }

  /// `y = (x − shift − rest)·factor·weight + bias`
  static void affine(
      MemorySegment xs,
      long xo,
      MemorySegment ws,
      long wo,
      MemorySegment bs,
      long bo,
      float shift,
      float rest,
      float factor,
      MemorySegment ys,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.affine(xs, xo, ws, wo, bs, bo, shift, rest, factor, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      float w = ws.get(JAVA_FLOAT, wo + 4L * i);
      float b = bs.get(JAVA_FLOAT, bo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, Math.fma((x - shift - rest) * factor, w, b));
    }
  }

  /// `dx = factor·(g − a − h·b)`
  static void normGradient(
      MemorySegment gs,
      long go,
      MemorySegment hs,
      long ho,
      float factor,
      float a,
      float b,
      MemorySegment ys,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.normGradient(gs, go, hs, ho, factor, a, b, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float g = gs.get(JAVA_FLOAT, go + 4L * i);
      float h = hs.get(JAVA_FLOAT, ho + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, (g - a - h * b) * factor);
    }
  }

  /// `dx = y·(dy − sum)`
  static void softmaxGradient(
      MemorySegment xs,
      long xo,
      MemorySegment gs,
      long go,
      float sum,
      MemorySegment ys,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.softmaxGradient(xs, xo, gs, go, sum, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      float g = gs.get(JAVA_FLOAT, go + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, (g - sum) * x);
    }
  }

  /// `dx = dy − exp(y)·sum`
  static void logSoftmaxGradient(
      MemorySegment xs,
      long xo,
      MemorySegment gs,
      long go,
      float sum,
      MemorySegment ys,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.logSoftmaxGradient(xs, xo, gs, go, sum, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      float g = gs.get(JAVA_FLOAT, go + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, g - ScalarMath.exp(x) * sum);
    }
  }

  /// `dx = (exp(x − shift) − rest)·factor`
  static void crossEntropyGradient(
      MemorySegment xs,
      long xo,
      float shift,
      float rest,
      float factor,
      MemorySegment ys,
      long yo,
      int n) {
    if (Simd.AVAILABLE) {
      Kernels.crossEntropyGradient(xs, xo, shift, rest, factor, ys, yo, n);
      return;
    }
    for (int i = 0; i < n; i++) {
      float x = xs.get(JAVA_FLOAT, xo + 4L * i);
      ys.set(JAVA_FLOAT, yo + 4L * i, (ScalarMath.exp(x - shift) - rest) * factor);
    }
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

  /// `Σ (x − shift)`.
  static double sumShifted(MemorySegment xs, long xo, float shift, int n) {
    MemorySegment block = Scratch.get().words(Scratch.TEMPORARIES, BLOCK);
    MemorySegment partials = Scratch.get().partials();
    double sum = 0;
    for (int i = 0; i < n; i += BLOCK) {
      int length = Math.min(BLOCK, n - i);
      subtract(xs, xo + 4L * i, shift, block, 0, length);
      sum += sumBlock(block, 0, length, partials);
    }
    return sum;
  }

  /// `Σ (x − shift)²`.
  static double sumSquares(MemorySegment xs, long xo, float shift, int n) {
    MemorySegment block = Scratch.get().words(Scratch.TEMPORARIES, BLOCK);
    MemorySegment partials = Scratch.get().partials();
    double sum = 0;
    for (int i = 0; i < n; i += BLOCK) {
      int length = Math.min(BLOCK, n - i);
      square(xs, xo + 4L * i, shift, block, 0, length);
      sum += sumBlock(block, 0, length, partials);
    }
    return sum;
  }

  /// `Σ exp(x − shift)`; the terms are stored nowhere.
  static double sumExp(MemorySegment xs, long xo, float shift, int n) {
    MemorySegment block = Scratch.get().words(Scratch.TEMPORARIES, BLOCK);
    MemorySegment partials = Scratch.get().partials();
    double sum = 0;
    for (int i = 0; i < n; i += BLOCK) {
      int length = Math.min(BLOCK, n - i);
      expShifted(xs, xo + 4L * i, shift, block, 0, length);
      sum += sumBlock(block, 0, length, partials);
    }
    return sum;
  }

  private static float sumBlock(MemorySegment xs, long xo, int n, MemorySegment partials) {
    if (Simd.AVAILABLE) {
      return Kernels.sum(xs, xo, n, partials);
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
      return Kernels.dot(as, ao, bs, bo, n, partials);
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

  /// The largest of x, −∞ of nothing; NaNs are passed over.
  static float max(MemorySegment xs, long xo, int n) {
    MemorySegment partials = Scratch.get().partials();
    if (Simd.AVAILABLE) {
      Kernels.max(xs, xo, n, partials);
    } else {
      for (int k = 0; k < PARTIALS; k++) {
        partials.set(JAVA_FLOAT, 4L * k, Float.NEGATIVE_INFINITY);
      }
      for (int i = 0; i < n; i++) {
        long k = 4L * (i % PARTIALS);
        float x = xs.get(JAVA_FLOAT, xo + 4L * i);
        if (x > partials.get(JAVA_FLOAT, k)) {
          partials.set(JAVA_FLOAT, k, x);
        }
      }
    }
    float max = partials.get(JAVA_FLOAT, 0);
    for (int k = 1; k < PARTIALS; k++) {
      float x = partials.get(JAVA_FLOAT, 4L * k);
      max = x > max ? x : max;
    }
    return max;
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
      return Kernels.anyNaN(xs, xo, n);
    }
    for (int i = 0; i < n; i++) {
      if (Float.isNaN(xs.get(JAVA_FLOAT, xo + 4L * i))) {
        return true;
      }
    }
    return false;
  }

  private static final class Kernels {
    static void expShifted(
        MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        store(VectorMath.exp(x.sub(shift)), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        store(VectorMath.exp(x.sub(shift)), ys, yo + 4L * body, mask);
      }
    }

    static void subtract(MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        store(x.sub(shift), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        store(x.sub(shift), ys, yo + 4L * body, mask);
      }
    }

    static void scale(MemorySegment xs, long xo, float factor, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        store(x.mul(factor), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        store(x.mul(factor), ys, yo + 4L * body, mask);
      }
    }

    static void square(MemorySegment xs, long xo, float shift, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        store(square(x.sub(shift)), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        store(square(x.sub(shift)), ys, yo + 4L * body, mask);
      }
    }

    static void normalize(
        MemorySegment xs,
        long xo,
        float shift,
        float rest,
        float factor,
        MemorySegment ys,
        long yo,
        int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        store(x.sub(shift).sub(rest).mul(factor), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        store(x.sub(shift).sub(rest).mul(factor), ys, yo + 4L * body, mask);
      }
    }

    static void multiply(
        MemorySegment as, long ao, MemorySegment bs, long bo, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector a = load(as, ao + 4L * i);
        FloatVector b = load(bs, bo + 4L * i);
        store(a.mul(b), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector a = load(as, ao + 4L * body, mask);
        FloatVector b = load(bs, bo + 4L * body, mask);
        store(a.mul(b), ys, yo + 4L * body, mask);
      }
    }

    static void multiplyAdd(
        MemorySegment as, long ao, MemorySegment bs, long bo, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector a = load(as, ao + 4L * i);
        FloatVector b = load(bs, bo + 4L * i);
        FloatVector y = load(ys, yo + 4L * i);
        store(a.fma(b, y), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector a = load(as, ao + 4L * body, mask);
        FloatVector b = load(bs, bo + 4L * body, mask);
        FloatVector y = load(ys, yo + 4L * body, mask);
        store(a.fma(b, y), ys, yo + 4L * body, mask);
      }
    }

    static void add(MemorySegment xs, long xo, MemorySegment ys, long yo, int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        FloatVector y = load(ys, yo + 4L * i);
        store(y.add(x), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        FloatVector y = load(ys, yo + 4L * body, mask);
        store(y.add(x), ys, yo + 4L * body, mask);
      }
    }

    static void affine(
        MemorySegment xs,
        long xo,
        MemorySegment ws,
        long wo,
        MemorySegment bs,
        long bo,
        float shift,
        float rest,
        float factor,
        MemorySegment ys,
        long yo,
        int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        FloatVector w = load(ws, wo + 4L * i);
        FloatVector b = load(bs, bo + 4L * i);
        store(x.sub(shift).sub(rest).mul(factor).fma(w, b), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        FloatVector w = load(ws, wo + 4L * body, mask);
        FloatVector b = load(bs, bo + 4L * body, mask);
        store(x.sub(shift).sub(rest).mul(factor).fma(w, b), ys, yo + 4L * body, mask);
      }
    }

    static void normGradient(
        MemorySegment gs,
        long go,
        MemorySegment hs,
        long ho,
        float factor,
        float a,
        float b,
        MemorySegment ys,
        long yo,
        int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector g = load(gs, go + 4L * i);
        FloatVector h = load(hs, ho + 4L * i);
        store(g.sub(a).sub(h.mul(b)).mul(factor), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector g = load(gs, go + 4L * body, mask);
        FloatVector h = load(hs, ho + 4L * body, mask);
        store(g.sub(a).sub(h.mul(b)).mul(factor), ys, yo + 4L * body, mask);
      }
    }

    static void softmaxGradient(
        MemorySegment xs,
        long xo,
        MemorySegment gs,
        long go,
        float sum,
        MemorySegment ys,
        long yo,
        int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        FloatVector g = load(gs, go + 4L * i);
        store(g.sub(sum).mul(x), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        FloatVector g = load(gs, go + 4L * body, mask);
        store(g.sub(sum).mul(x), ys, yo + 4L * body, mask);
      }
    }

    static void logSoftmaxGradient(
        MemorySegment xs,
        long xo,
        MemorySegment gs,
        long go,
        float sum,
        MemorySegment ys,
        long yo,
        int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        FloatVector g = load(gs, go + 4L * i);
        store(g.sub(VectorMath.exp(x).mul(sum)), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        FloatVector g = load(gs, go + 4L * body, mask);
        store(g.sub(VectorMath.exp(x).mul(sum)), ys, yo + 4L * body, mask);
      }
    }

    static void crossEntropyGradient(
        MemorySegment xs,
        long xo,
        float shift,
        float rest,
        float factor,
        MemorySegment ys,
        long yo,
        int n) {
      int body = n & -LANES;
      for (int i = 0; i < body; i += LANES) {
        FloatVector x = load(xs, xo + 4L * i);
        store(VectorMath.exp(x.sub(shift)).sub(rest).mul(factor), ys, yo + 4L * i);
      }
      if (body < n) {
        VectorMask<Float> mask = tail(body, n);
        FloatVector x = load(xs, xo + 4L * body, mask);
        store(VectorMath.exp(x.sub(shift)).sub(rest).mul(factor), ys, yo + 4L * body, mask);
      }
    }

    private static FloatVector square(FloatVector x) {
      return x.mul(x);
    }

    static float sum(MemorySegment xs, long xo, int n, MemorySegment partials) {
      int body = n & -PARTIALS;
      for (int k = 0; k < PARTIALS; k += 2 * LANES) {
        FloatVector s = all(0);
        FloatVector t = all(0);
        for (int i = k; i < body; i += PARTIALS) {
          s = s.add(load(xs, xo + 4L * i));
          t = t.add(load(xs, xo + 4L * (i + LANES)));
        }
        store(s, partials, 4L * k);
        store(t, partials, 4L * (k + LANES));
      }
      for (int i = body; i < n; i += LANES) {
        long k = 4L * (i - body);
        store(load(partials, k).add(load(xs, xo + 4L * i, tail(i, n))), partials, k);
      }
      return Vectors.foldSum(partials);
    }

    static float dot(
        MemorySegment as, long ao, MemorySegment bs, long bo, int n, MemorySegment partials) {
      int body = n & -PARTIALS;
      for (int k = 0; k < PARTIALS; k += 2 * LANES) {
        FloatVector s = all(0);
        FloatVector t = all(0);
        for (int i = k; i < body; i += PARTIALS) {
          s = load(as, ao + 4L * i).fma(load(bs, bo + 4L * i), s);
          t = load(as, ao + 4L * (i + LANES)).fma(load(bs, bo + 4L * (i + LANES)), t);
        }
        store(s, partials, 4L * k);
        store(t, partials, 4L * (k + LANES));
      }
      for (int i = body; i < n; i += LANES) {
        long k = 4L * (i - body);
        VectorMask<Float> mask = tail(i, n);
        FloatVector product = load(as, ao + 4L * i, mask);
        store(product.fma(load(bs, bo + 4L * i, mask), load(partials, k)), partials, k);
      }
      return Vectors.foldSum(partials);
    }

    static void max(MemorySegment xs, long xo, int n, MemorySegment partials) {
      int body = n & -PARTIALS;
      for (int k = 0; k < PARTIALS; k += 2 * LANES) {
        FloatVector s = all(Float.NEGATIVE_INFINITY);
        FloatVector t = s;
        for (int i = k; i < body; i += PARTIALS) {
          s = larger(s, load(xs, xo + 4L * i));
          t = larger(t, load(xs, xo + 4L * (i + LANES)));
        }
        store(s, partials, 4L * k);
        store(t, partials, 4L * (k + LANES));
      }
      for (int i = body; i < n; i += LANES) {
        long k = 4L * (i - body);
        VectorMask<Float> mask = tail(i, n);
        FloatVector x = all(Float.NEGATIVE_INFINITY).blend(load(xs, xo + 4L * i, mask), mask);
        store(larger(load(partials, k), x), partials, k);
      }
    }

    // FloatVector.max costs ten times as much, for its care of NaN and −0.
    private static FloatVector larger(FloatVector a, FloatVector b) {
      return a.blend(b, b.compare(VectorOperators.GT, a));
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
