package fornax.cpu;

import com.google.errorprone.annotations.Immutable;
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
  void select(float[] x, int at, float[] seen, int rows, float factor, float hidden) {
    for (int i = 0; i < rows * width; i += LANES) {
      FloatVector scaled = FloatVector.fromArray(SPECIES, x, at + i).mul(factor);
      FloatVector sees = FloatVector.fromArray(SPECIES, seen, i);
      scaled.blend(hidden, sees.compare(VectorOperators.EQ, 0f)).intoArray(x, at + i);
    }
  }

  @Override
  void multiply(float[] x, int at, float[] factors, int rows) {
    for (int i = 0; i < rows * width; i += LANES) {
      FloatVector factor = FloatVector.fromArray(SPECIES, factors, i);
      FloatVector.fromArray(SPECIES, x, at + i).mul(factor).intoArray(x, at + i);
    }
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
    var panel = new Panel(s, dp, at, width, visible, scale, logSumExp, delta, lanes);
    for (int i = 0; i < width; i += LANES) {
      // Rows that all lanes see, those that some do, and those that none does.
      int clear = Math.clamp((long) visible + i, 0, rows);
      int seen = Math.clamp((long) visible + i + LANES - 1, 0, rows);
      gradient(0, panel, i, 0, clear);
      gradient(1, panel, i, clear, seen);
      gradient(2, panel, i, seen, rows);
    }
  }

  /// The arguments of [AttentionKernels#softmaxGradient].
  private static final class Panel {
    final float[] s;
    final float[] dp;
    final int at;
    final int width;
    final int visible;
    final float scale;
    final float[] logSumExp;
    final float[] delta;
    final int lanes;

    Panel(
        float[] s,
        float[] dp,
        int at,
        int width,
        int visible,
        float scale,
        float[] logSumExp,
        float[] delta,
        int lanes) {
      this.s = s;
      this.dp = dp;
      this.at = at;
      this.width = width;
      this.visible = visible;
      this.scale = scale;
      this.logSumExp = logSumExp;
      this.delta = delta;
      this.lanes = lanes;
    }
  }

  /// The gradient of rows `[from, to)` of a panel, in the vector at column `i`.
  @FunctionalInterface
  @Immutable
  private interface Gradient {
    void run(Panel panel, int i, int from, int to);
  }

  private static final Gradient[] GRADIENTS = {
    AttentionVectorKernels::gradientClear,
    AttentionVectorKernels::gradientMasked,
    AttentionVectorKernels::gradientZero
  };

  // All three at one place, so that the compiler inlines none: two exponentials in one method
  // exceed its budget, see VectorLoop.
  private static void gradient(int which, Panel panel, int i, int from, int to) {
    GRADIENTS[which].run(panel, i, from, to);
  }

  private static void gradientClear(Panel panel, int i, int from, int to) {
    float[] s = panel.s;
    float[] dp = panel.dp;
    int width = panel.width;
    float scale = panel.scale;
    FloatVector shift = FloatVector.fromArray(SPECIES, panel.logSumExp, panel.lanes + i);
    FloatVector delta = FloatVector.fromArray(SPECIES, panel.delta, panel.lanes + i);
    for (int j = from; j < to; j++) {
      int x = panel.at + j * width + i;
      FloatVector p =
          VectorMath.expNormal(FloatVector.fromArray(SPECIES, s, x).mul(scale).sub(shift));
      p.intoArray(s, x);
      p.mul(FloatVector.fromArray(SPECIES, dp, x).sub(delta)).mul(scale).intoArray(dp, x);
    }
  }

  private static void gradientMasked(Panel panel, int i, int from, int to) {
    float[] s = panel.s;
    float[] dp = panel.dp;
    int width = panel.width;
    float scale = panel.scale;
    FloatVector shift = FloatVector.fromArray(SPECIES, panel.logSumExp, panel.lanes + i);
    FloatVector delta = FloatVector.fromArray(SPECIES, panel.delta, panel.lanes + i);
    for (int j = from; j < to; j++) {
      int x = panel.at + j * width + i;
      FloatVector p =
          VectorMath.expNormal(FloatVector.fromArray(SPECIES, s, x).mul(scale).sub(shift))
              .blend(0f, LANE.compare(VectorOperators.LE, (float) (j - panel.visible - i)));
      p.intoArray(s, x);
      p.mul(FloatVector.fromArray(SPECIES, dp, x).sub(delta)).mul(scale).intoArray(dp, x);
    }
  }

  private static void gradientZero(Panel panel, int i, int from, int to) {
    for (int j = from; j < to; j++) {
      int x = panel.at + j * panel.width + i;
      FloatVector.zero(SPECIES).intoArray(panel.s, x);
      FloatVector.zero(SPECIES).intoArray(panel.dp, x);
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
