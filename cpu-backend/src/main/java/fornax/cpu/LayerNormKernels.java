package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/// The loops of [LayerNormGroup], one number at a time.
final class LayerNormKernels {
  private LayerNormKernels() {}

  static LayerNormGroup.Code of(LayerNormGroup.Loop loop) {
    return switch (loop) {
      case MEANS -> LayerNormKernels::means;
      case RESTS -> LayerNormKernels::rests;
      case FACTORS -> LayerNormKernels::factors;
      case RMS_FACTORS -> LayerNormKernels::rmsFactors;
      case AFFINE -> LayerNormKernels::affine;
      case GRADIENT_SUMS -> LayerNormKernels::gradientSums;
      case GRADIENT -> LayerNormKernels::gradient;
      case WEIGHT_SUMS -> LayerNormKernels::weightSums;
      case BIAS_SUMS -> LayerNormKernels::biasSums;
    };
  }

  private static void means(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      double sum = RowKernels.sum(group.x, group.at(group.xo, i), group.columns);
      group.mean[i] = (float) (sum / group.columns);
    }
  }

  private static void rests(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      MemorySegment centred = centred(group, i);
      group.rest[i] = (float) (RowKernels.sum(centred, 0, group.columns) / group.columns);
    }
  }

  private static void factors(LayerNormGroup group) {
    int n = group.columns;
    for (int i = 0; i < group.rows; i++) {
      MemorySegment centred = centred(group, i);
      double sum = RowKernels.sum(centred, 0, n);
      double squares = RowKernels.dot(centred, 0, centred, 0, n);
      group.setFactor(i, sum, squares);
    }
  }

  private static void rmsFactors(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long at = group.at(group.xo, i);
      group.setFactor(i, 0, RowKernels.dot(group.x, at, group.x, at, group.columns));
    }
  }

  private static void affine(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long yo = group.at(group.yo, i);
      for (long at = 0; at < 4L * group.columns; at += 4) {
        float h = normal(group, i, group.x.get(JAVA_FLOAT, xo + at));
        float w = group.weight.get(JAVA_FLOAT, group.weightO + at);
        float b = group.bias.get(JAVA_FLOAT, group.biasO + at);
        group.y.set(JAVA_FLOAT, yo + at, Math.fma(h, w, b));
      }
    }
  }

  private static void gradientSums(LayerNormGroup group) {
    int n = group.columns;
    Scratch scratch = Scratch.get();
    MemorySegment weighted = scratch.words(Scratch.TEMPORARIES + 1, n);
    MemorySegment normal = scratch.words(Scratch.TEMPORARIES + 2, n);
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long dyo = group.at(group.dyo, i);
      for (long at = 0; at < 4L * n; at += 4) {
        float w = group.weight.get(JAVA_FLOAT, group.weightO + at);
        weighted.set(JAVA_FLOAT, at, group.dy.get(JAVA_FLOAT, dyo + at) * w);
        normal.set(JAVA_FLOAT, at, normal(group, i, group.x.get(JAVA_FLOAT, xo + at)));
      }
      group.gradientMean[i] = (float) (RowKernels.sum(weighted, 0, n) / n);
      group.gradientDot[i] = (float) (RowKernels.dot(weighted, 0, normal, 0, n) / n);
    }
  }

  private static void gradient(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long dyo = group.at(group.dyo, i);
      long yo = group.at(group.yo, i);
      for (long at = 0; at < 4L * group.columns; at += 4) {
        float h = normal(group, i, group.x.get(JAVA_FLOAT, xo + at));
        float w = group.weight.get(JAVA_FLOAT, group.weightO + at);
        float g = Math.fma(group.dy.get(JAVA_FLOAT, dyo + at), w, -group.gradientMean[i]);
        float rest = Math.fma(h, -group.gradientDot[i], g);
        group.y.set(JAVA_FLOAT, yo + at, rest * group.factor[i]);
      }
    }
  }

  private static void weightSums(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long dyo = group.at(group.dyo, i);
      for (long at = 0; at < 4L * group.columns; at += 4) {
        float h = normal(group, i, group.x.get(JAVA_FLOAT, xo + at));
        float dy = group.dy.get(JAVA_FLOAT, dyo + at);
        group.weightSums.set(JAVA_FLOAT, at, Math.fma(dy, h, group.weightSums.get(JAVA_FLOAT, at)));
      }
    }
  }

  private static void biasSums(LayerNormGroup group) {
    for (int i = 0; i < group.rows; i++) {
      RowKernels.add(group.dy, group.at(group.dyo, i), group.biasSums, 0, group.columns);
    }
  }

  private static float normal(LayerNormGroup group, int row, float x) {
    return Math.fma(x - group.mean[row], group.factor[row], group.shift(row));
  }

  private static MemorySegment centred(LayerNormGroup group, int row) {
    MemorySegment centred = Scratch.get().words(Scratch.TEMPORARIES + 1, group.columns);
    RowKernels.subtract(
        group.x, group.at(group.xo, row), group.mean[row], centred, 0, group.columns);
    return centred;
  }
}
