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

/// The loops of [LayerNormGroup] on the Vector API.
final class LayerNormVectorKernels {
  private static final int BLOCK = BlockLoop.BLOCK;
  private static final int PARTIALS = Rows.PARTIALS;

  private LayerNormVectorKernels() {}

  static LayerNormGroup.Code of(LayerNormGroup.Loop loop) {
    return switch (loop) {
      case MEANS -> LayerNormVectorKernels::means;
      case RESTS -> LayerNormVectorKernels::rests;
      case FACTORS -> LayerNormVectorKernels::factors;
      case RMS_FACTORS -> LayerNormVectorKernels::rmsFactors;
      case AFFINE -> LayerNormVectorKernels::affine;
      case GRADIENT_SUMS -> LayerNormVectorKernels::gradientSums;
      case GRADIENT -> LayerNormVectorKernels::gradient;
      case WEIGHT_SUMS -> LayerNormVectorKernels::weightSums;
      case BIAS_SUMS -> LayerNormVectorKernels::biasSums;
    };
  }

  private static void means(LayerNormGroup group) {
    MemorySegment partials = Scratch.get().partials();
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      double sum = 0;
      for (int from = 0; from < n; from += BLOCK) {
        sum += VectorSums.sum(group.x, xo, from, Math.min(n, from + BLOCK), partials);
      }
      group.mean[i] = (float) (sum / n);
    }
  }

  private static void rests(LayerNormGroup group) {
    MemorySegment partials = Scratch.get().partials();
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      float mean = group.mean[i];
      double sum = 0;
      for (int from = 0; from < n; from += BLOCK) {
        sum += centredSum(group.x, xo, mean, from, Math.min(n, from + BLOCK), partials);
      }
      group.rest[i] = (float) (sum / n);
    }
  }

  private static float centredSum(
      MemorySegment x, long xo, float mean, int from, int to, MemorySegment partials) {
    FloatVector m = all(mean);
    for (int k = from; k < from + PARTIALS; k += 2 * LANES) {
      FloatVector s = all(0);
      FloatVector t = all(0);
      int i = k;
      for (; i <= to - 2 * LANES; i += PARTIALS) {
        s = s.add(load(x, xo + 4L * i).sub(m));
        t = t.add(load(x, xo + 4L * (i + LANES)).sub(m));
      }
      if (i < to) {
        s = s.add(centredTail(x, xo, m, i, to));
        if (i + LANES < to) {
          t = t.add(centredTail(x, xo, m, i + LANES, to));
        }
      }
      if (2 * LANES == PARTIALS) {
        return Vectors.fold(s.add(t));
      }
      store(s, partials, 4L * (k - from));
      store(t, partials, 4L * (k - from + LANES));
    }
    return Vectors.foldSum(partials);
  }

  // The rest of the row less the mean, and zeros.
  private static FloatVector centredTail(
      MemorySegment x, long xo, FloatVector mean, int i, int to) {
    VectorMask<Float> mask = tail(i, to);
    return all(0).blend(load(x, xo + 4L * i, mask).sub(mean), mask);
  }

  private static void factors(LayerNormGroup group) {
    Scratch scratch = Scratch.get();
    MemorySegment partials = scratch.partials();
    MemorySegment squarePartials = scratch.words(Scratch.TEMPORARIES + 1, PARTIALS);
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      float mean = group.mean[i];
      double sum = 0;
      double squares = 0;
      for (int from = 0; from < n; from += BLOCK) {
        int to = Math.min(n, from + BLOCK);
        squares += centredSquares(group.x, xo, mean, from, to, partials, squarePartials);
        sum += partials.get(JAVA_FLOAT, 0);
      }
      group.setFactor(i, sum, squares);
    }
  }

  // Leaves the sum of x − mean in the first partial sum.
  private static float centredSquares(
      MemorySegment x,
      long xo,
      float mean,
      int from,
      int to,
      MemorySegment partials,
      MemorySegment squarePartials) {
    FloatVector m = all(mean);
    for (int k = from; k < from + PARTIALS; k += 2 * LANES) {
      FloatVector s = all(0);
      FloatVector t = all(0);
      FloatVector ss = all(0);
      FloatVector tt = all(0);
      int i = k;
      for (; i <= to - 2 * LANES; i += PARTIALS) {
        FloatVector u = load(x, xo + 4L * i).sub(m);
        FloatVector v = load(x, xo + 4L * (i + LANES)).sub(m);
        s = s.add(u);
        t = t.add(v);
        ss = u.fma(u, ss);
        tt = v.fma(v, tt);
      }
      if (i < to) {
        FloatVector u = centredTail(x, xo, m, i, to);
        s = s.add(u);
        ss = u.fma(u, ss);
        if (i + LANES < to) {
          FloatVector v = centredTail(x, xo, m, i + LANES, to);
          t = t.add(v);
          tt = v.fma(v, tt);
        }
      }
      if (2 * LANES == PARTIALS) {
        partials.set(JAVA_FLOAT, 0, Vectors.fold(s.add(t)));
        return Vectors.fold(ss.add(tt));
      }
      store(s, partials, 4L * (k - from));
      store(t, partials, 4L * (k - from + LANES));
      store(ss, squarePartials, 4L * (k - from));
      store(tt, squarePartials, 4L * (k - from + LANES));
    }
    partials.set(JAVA_FLOAT, 0, Vectors.foldSum(partials));
    return Vectors.foldSum(squarePartials);
  }

  private static void rmsFactors(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long at = group.at(group.xo, i);
      group.setFactor(i, 0, RowKernels.dot(group.x, at, group.x, at, group.columns));
    }
  }

  private static void affine(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      affine(
          group,
          group.at(group.xo, i),
          group.at(group.yo, i),
          group.mean[i],
          group.factor[i],
          group.shift(i));
    }
  }

  private static void affine(
      LayerNormGroup group, long xo, long yo, float mean, float factor, float shift) {
    MemorySegment xs = group.x;
    MemorySegment ws = group.weight;
    MemorySegment bs = group.bias;
    MemorySegment ys = group.y;
    long wo = group.weightO;
    long bo = group.biasO;
    int n = group.columns;
    FloatVector m = all(mean);
    FloatVector f = all(factor);
    FloatVector c = all(shift);
    int i = 0;
    for (; i <= n - LANES; i += LANES) {
      FloatVector h = load(xs, xo + 4L * i).sub(m).fma(f, c);
      store(h.fma(load(ws, wo + 4L * i), load(bs, bo + 4L * i)), ys, yo + 4L * i);
    }
    if (i < n) {
      VectorMask<Float> mask = tail(i, n);
      FloatVector h = load(xs, xo + 4L * i, mask).sub(m).fma(f, c);
      FloatVector w = load(ws, wo + 4L * i, mask);
      store(h.fma(w, load(bs, bo + 4L * i, mask)), ys, yo + 4L * i, mask);
    }
  }

  private static void gradientSums(LayerNormGroup group) {
    Scratch scratch = Scratch.get();
    MemorySegment partials = scratch.partials();
    MemorySegment dotPartials = scratch.words(Scratch.TEMPORARIES + 1, PARTIALS);
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      double sum = 0;
      double dot = 0;
      for (int from = 0; from < n; from += BLOCK) {
        dot += gradientDot(group, i, from, Math.min(n, from + BLOCK), partials, dotPartials);
        sum += partials.get(JAVA_FLOAT, 0);
      }
      group.gradientMean[i] = (float) (sum / n);
      group.gradientDot[i] = (float) (dot / n);
    }
  }

  // Leaves the sum of dy·weight in the first partial sum.
  private static float gradientDot(
      LayerNormGroup group,
      int row,
      int from,
      int to,
      MemorySegment partials,
      MemorySegment dotPartials) {
    MemorySegment xs = group.x;
    MemorySegment gs = group.dy;
    MemorySegment ws = group.weight;
    long xo = group.at(group.xo, row);
    long go = group.at(group.dyo, row);
    long wo = group.weightO;
    FloatVector m = all(group.mean[row]);
    FloatVector f = all(group.factor[row]);
    FloatVector c = all(group.shift(row));
    for (int k = from; k < from + PARTIALS; k += 2 * LANES) {
      FloatVector s = all(0);
      FloatVector t = all(0);
      FloatVector ss = all(0);
      FloatVector tt = all(0);
      int i = k;
      for (; i <= to - 2 * LANES; i += PARTIALS) {
        long at = 4L * i;
        FloatVector g = load(gs, go + at).mul(load(ws, wo + at));
        s = s.add(g);
        ss = load(xs, xo + at).sub(m).fma(f, c).fma(g, ss);
        at = 4L * (i + LANES);
        g = load(gs, go + at).mul(load(ws, wo + at));
        t = t.add(g);
        tt = load(xs, xo + at).sub(m).fma(f, c).fma(g, tt);
      }
      if (i < to) {
        long at = 4L * i;
        VectorMask<Float> mask = tail(i, to);
        FloatVector g = load(gs, go + at, mask).mul(load(ws, wo + at, mask));
        s = s.add(g);
        ss = load(xs, xo + at, mask).sub(m).fma(f, c).fma(g, ss);
        if (i + LANES < to) {
          at = 4L * (i + LANES);
          mask = tail(i + LANES, to);
          g = load(gs, go + at, mask).mul(load(ws, wo + at, mask));
          t = t.add(g);
          tt = load(xs, xo + at, mask).sub(m).fma(f, c).fma(g, tt);
        }
      }
      if (2 * LANES == PARTIALS) {
        partials.set(JAVA_FLOAT, 0, Vectors.fold(s.add(t)));
        return Vectors.fold(ss.add(tt));
      }
      store(s, partials, 4L * (k - from));
      store(t, partials, 4L * (k - from + LANES));
      store(ss, dotPartials, 4L * (k - from));
      store(tt, dotPartials, 4L * (k - from + LANES));
    }
    partials.set(JAVA_FLOAT, 0, Vectors.foldSum(partials));
    return Vectors.foldSum(dotPartials);
  }

  private static void gradient(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      gradientRow(group, i);
    }
  }

  private static void gradientRow(LayerNormGroup group, int row) {
    MemorySegment xs = group.x;
    MemorySegment gs = group.dy;
    MemorySegment ws = group.weight;
    MemorySegment ys = group.y;
    long xo = group.at(group.xo, row);
    long go = group.at(group.dyo, row);
    long yo = group.at(group.yo, row);
    long wo = group.weightO;
    int n = group.columns;
    FloatVector m = all(group.mean[row]);
    FloatVector f = all(group.factor[row]);
    FloatVector c = all(group.shift(row));
    FloatVector a = all(-group.gradientMean[row]);
    FloatVector b = all(-group.gradientDot[row]);
    int i = 0;
    for (; i <= n - LANES; i += LANES) {
      long at = 4L * i;
      FloatVector h = load(xs, xo + at).sub(m).fma(f, c);
      FloatVector g = load(gs, go + at).fma(load(ws, wo + at), a);
      store(h.fma(b, g).mul(f), ys, yo + at);
    }
    if (i < n) {
      long at = 4L * i;
      VectorMask<Float> mask = tail(i, n);
      FloatVector h = load(xs, xo + at, mask).sub(m).fma(f, c);
      FloatVector g = load(gs, go + at, mask).fma(load(ws, wo + at, mask), a);
      store(h.fma(b, g).mul(f), ys, yo + at, mask);
    }
  }

  private static void weightSums(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      weightSums(group, i);
    }
  }

  private static void weightSums(LayerNormGroup group, int row) {
    MemorySegment sums = group.weightSums;
    MemorySegment xs = group.x;
    MemorySegment gs = group.dy;
    long xo = group.at(group.xo, row);
    long go = group.at(group.dyo, row);
    int n = group.columns;
    FloatVector m = all(group.mean[row]);
    FloatVector f = all(group.factor[row]);
    FloatVector c = all(group.shift(row));
    int i = 0;
    for (; i <= n - LANES; i += LANES) {
      long at = 4L * i;
      FloatVector h = load(xs, xo + at).sub(m).fma(f, c);
      store(load(gs, go + at).fma(h, load(sums, at)), sums, at);
    }
    if (i < n) {
      long at = 4L * i;
      VectorMask<Float> mask = tail(i, n);
      FloatVector h = load(xs, xo + at, mask).sub(m).fma(f, c);
      store(load(gs, go + at, mask).fma(h, load(sums, at, mask)), sums, at, mask);
    }
  }

  private static void biasSums(LayerNormGroup group) {
    MemorySegment gs = group.dy;
    MemorySegment sums = group.biasSums;
    int n = group.columns;
    for (int row = 0; row < group.rows; row++) {
      long go = group.at(group.dyo, row);
      int i = 0;
      for (; i <= n - LANES; i += LANES) {
        store(load(sums, 4L * i).add(load(gs, go + 4L * i)), sums, 4L * i);
      }
      if (i < n) {
        VectorMask<Float> mask = tail(i, n);
        FloatVector dy = load(gs, go + 4L * i, mask);
        store(load(sums, 4L * i, mask).add(dy), sums, 4L * i, mask);
      }
    }
  }
}
