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

/// The loops of [SoftmaxGroup] on the Vector API.
final class SoftmaxVectorKernels {
  private static final int BLOCK = BlockLoop.BLOCK;

  private SoftmaxVectorKernels() {}

  static SoftmaxGroup.Code of(SoftmaxGroup.Loop loop) {
    return switch (loop) {
      case MAX -> SoftmaxVectorKernels::max;
      case EXP -> SoftmaxVectorKernels::exp;
      case INVERSE -> SoftmaxVectorKernels::inverse;
      case SCALE -> SoftmaxVectorKernels::scale;
      case DOT -> SoftmaxVectorKernels::dot;
      case GRADIENT -> SoftmaxVectorKernels::gradient;
    };
  }

  private static void max(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      group.number[i] = VectorMax.of(group.x, group.at(group.xo, i), group.columns);
    }
  }

  private static void exp(SoftmaxGroup group) {
    int n = group.columns;
    for (int row = 0; row < group.rows; row++) {
      exp(
          group.x,
          group.at(group.xo, row),
          group.number[row],
          group.y,
          group.at(group.yo, row),
          n & -LANES);
      for (int i = n & -LANES; i < n; i++) {
        float x = group.x.get(JAVA_FLOAT, group.at(group.xo, row) + 4L * i);
        float e = ScalarMath.expNormal(x - group.number[row]);
        group.y.set(JAVA_FLOAT, group.at(group.yo, row) + 4L * i, e);
      }
    }
  }

  private static void exp(MemorySegment x, long xo, float shift, MemorySegment y, long yo, int n) {
    FloatVector m = all(shift);
    for (int i = 0; i < n; i += LANES) {
      store(VectorMath.expNormal(load(x, xo + 4L * i).sub(m)), y, yo + 4L * i);
    }
  }

  private static void inverse(SoftmaxGroup group) {
    MemorySegment partials = Scratch.get().partials();
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      long yo = group.at(group.yo, i);
      double sum = 0;
      for (int from = 0; from < n; from += BLOCK) {
        sum += VectorSums.sum(group.y, yo, from, Math.min(n, from + BLOCK), partials);
      }
      group.number[i] = (float) (1 / sum);
    }
  }

  private static void scale(SoftmaxGroup group) {
    MemorySegment ys = group.y;
    int n = group.columns;
    for (int row = 0; row < group.rows; row++) {
      FloatVector factor = all(group.number[row]);
      long yo = group.at(group.yo, row);
      int i = 0;
      for (; i <= n - LANES; i += LANES) {
        store(load(ys, yo + 4L * i).mul(factor), ys, yo + 4L * i);
      }
      if (i < n) {
        VectorMask<Float> mask = tail(i, n);
        store(load(ys, yo + 4L * i, mask).mul(factor), ys, yo + 4L * i, mask);
      }
    }
  }

  private static void dot(SoftmaxGroup group) {
    MemorySegment partials = Scratch.get().partials();
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long dyo = group.at(group.dyo, i);
      double sum = 0;
      for (int from = 0; from < n; from += BLOCK) {
        int to = Math.min(n, from + BLOCK);
        sum += VectorSums.dot(group.x, xo, group.dy, dyo, from, to, partials);
      }
      group.number[i] = (float) sum;
    }
  }

  private static void gradient(SoftmaxGroup group) {
    MemorySegment xs = group.x;
    MemorySegment gs = group.dy;
    MemorySegment ys = group.y;
    int n = group.columns;
    for (int row = 0; row < group.rows; row++) {
      FloatVector sum = all(group.number[row]);
      long xo = group.at(group.xo, row);
      long go = group.at(group.dyo, row);
      long yo = group.at(group.yo, row);
      int i = 0;
      for (; i <= n - LANES; i += LANES) {
        long at = 4L * i;
        store(load(gs, go + at).sub(sum).mul(load(xs, xo + at)), ys, yo + at);
      }
      if (i < n) {
        long at = 4L * i;
        VectorMask<Float> mask = tail(i, n);
        store(load(gs, go + at, mask).sub(sum).mul(load(xs, xo + at, mask)), ys, yo + at, mask);
      }
    }
  }
}
