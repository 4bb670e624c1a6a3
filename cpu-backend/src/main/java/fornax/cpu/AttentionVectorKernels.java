package fornax.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/// The loops of [AttentionKernels] on the Vector API.
final class AttentionVectorKernels extends AttentionKernels {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int LANES = SPECIES.length();

  /// `0, 1, 2 …`
  private static final FloatVector LANE = FloatVector.zero(SPECIES).addIndex(1);

  AttentionVectorKernels(int width) {
    super(width);
  }

  @Override
  void softmax(float[] s, int rows, int visible, float scale, float[] inverse, float[] logSumExp) {
    for (int i = 0; i < width; i += LANES) {
      // Rows below `clear` are visible to all lanes, rows from `seen` on to none.
      int clear = Math.clamp((long) visible + i, 0, rows);
      int seen = Math.clamp((long) visible + i + LANES - 1, 0, rows);
      FloatVector max = scaleClear(s, i, clear, width, scale);
      max = scaleMasked(s, i, clear, seen, visible + i, scale, max);
      FloatVector shift = max.blend(0f, max.compare(VectorOperators.EQ, Float.NEGATIVE_INFINITY));
      FloatVector sum = expAndSum(s, i, seen, width, shift);
      for (int j = seen; j < rows; j++) {
        FloatVector.zero(SPECIES).intoArray(s, j * width + i);
      }
      finish(sum, shift, i, inverse, logSumExp);
    }
  }

  private static FloatVector scaleClear(float[] s, int i, int rows, int width, float scale) {
    FloatVector max = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    for (int j = 0; j < rows; j++) {
      FloatVector x = FloatVector.fromArray(SPECIES, s, j * width + i).mul(scale);
      x.intoArray(s, j * width + i);
      max = max.max(x);
    }
    return max;
  }

  private FloatVector scaleMasked(
      float[] s, int i, int from, int to, int visible, float scale, FloatVector max) {
    for (int j = from; j < to; j++) {
      FloatVector x = FloatVector.fromArray(SPECIES, s, j * width + i).mul(scale);
      x = x.blend(Float.NEGATIVE_INFINITY, LANE.compare(VectorOperators.LE, (float) (j - visible)));
      x.intoArray(s, j * width + i);
      max = max.max(x);
    }
    return max;
  }

  private static FloatVector expAndSum(float[] s, int i, int rows, int width, FloatVector shift) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int j = 0; j < rows; j++) {
      FloatVector p =
          VectorMath.expNormal(FloatVector.fromArray(SPECIES, s, j * width + i).sub(shift));
      p.intoArray(s, j * width + i);
      sum = sum.add(p);
    }
    return sum;
  }

  private static void finish(
      FloatVector sum, FloatVector shift, int i, float[] inverse, float[] logSumExp) {
    FloatVector.broadcast(SPECIES, 1f)
        .div(sum)
        .blend(0f, sum.compare(VectorOperators.EQ, 0f))
        .intoArray(inverse, i);
    shift.add(VectorMath.log(sum)).intoArray(logSumExp, i);
  }

  @Override
  void scaleLanes(float[] x, int at, int rows, float[] factor) {
    for (int i = 0; i < width; i += LANES) {
      FloatVector f = FloatVector.fromArray(SPECIES, factor, i);
      for (int j = at + i; j < at + rows * width; j += width) {
        FloatVector.fromArray(SPECIES, x, j).mul(f).intoArray(x, j);
      }
    }
  }

  @Override
  void softmaxGradient(
      float[] s,
      float[] dp,
      int at,
      int rows,
      int visible,
      float scale,
      float[] logSumExp,
      float[] delta,
      int lanes) {
    for (int i = 0; i < width; i += LANES) {
      FloatVector shift = FloatVector.fromArray(SPECIES, logSumExp, lanes + i);
      FloatVector d = FloatVector.fromArray(SPECIES, delta, lanes + i);
      int clear = Math.clamp((long) visible + i, 0, rows);
      int seen = Math.clamp((long) visible + i + LANES - 1, 0, rows);
      gradientClear(s, dp, at + i, clear, width, scale, shift, d);
      gradientMasked(s, dp, at + i, clear, seen, visible + i, scale, shift, d);
      for (int j = seen; j < rows; j++) {
        FloatVector.zero(SPECIES).intoArray(s, at + j * width + i);
        FloatVector.zero(SPECIES).intoArray(dp, at + j * width + i);
      }
    }
  }

  private static void gradientClear(
      float[] s,
      float[] dp,
      int at,
      int rows,
      int width,
      float scale,
      FloatVector shift,
      FloatVector delta) {
    for (int j = 0; j < rows; j++) {
      int x = at + j * width;
      FloatVector p =
          VectorMath.expNormal(FloatVector.fromArray(SPECIES, s, x).mul(scale).sub(shift));
      p.intoArray(s, x);
      p.mul(FloatVector.fromArray(SPECIES, dp, x).sub(delta)).mul(scale).intoArray(dp, x);
    }
  }

  private void gradientMasked(
      float[] s,
      float[] dp,
      int at,
      int from,
      int to,
      int visible,
      float scale,
      FloatVector shift,
      FloatVector delta) {
    for (int j = from; j < to; j++) {
      int x = at + j * width;
      FloatVector p =
          VectorMath.expNormal(FloatVector.fromArray(SPECIES, s, x).mul(scale).sub(shift))
              .blend(0f, LANE.compare(VectorOperators.LE, (float) (j - visible)));
      p.intoArray(s, x);
      p.mul(FloatVector.fromArray(SPECIES, dp, x).sub(delta)).mul(scale).intoArray(dp, x);
    }
  }

  @Override
  void dotLanes(float[] a, int at, float[] b, int rows, float[] sum, int lanes) {
    for (int i = 0; i < width; i += LANES) {
      FloatVector total = FloatVector.zero(SPECIES);
      for (int j = 0; j < rows; j++) {
        total =
            FloatVector.fromArray(SPECIES, a, at + j * width + i)
                .fma(FloatVector.fromArray(SPECIES, b, j * width + i), total);
      }
      total.intoArray(sum, lanes + i);
    }
  }

  @Override
  void add(float[] x, int at, float[] t, int length) {
    for (int i = 0; i < length; i += LANES) {
      FloatVector.fromArray(SPECIES, x, at + i)
          .add(FloatVector.fromArray(SPECIES, t, i))
          .intoArray(x, at + i);
    }
  }
}
