package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

/// The loops of [SoftmaxGroup], one number at a time.
final class SoftmaxKernels {
  private SoftmaxKernels() {}

  static SoftmaxGroup.Code of(SoftmaxGroup.Loop loop) {
    return switch (loop) {
      case MAX -> SoftmaxKernels::max;
      case EXP -> SoftmaxKernels::exp;
      case INVERSE -> SoftmaxKernels::inverse;
      case SCALE -> SoftmaxKernels::scale;
      case DOT -> SoftmaxKernels::dot;
      case GRADIENT -> SoftmaxKernels::gradient;
    };
  }

  private static void max(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      group.number[i] = RowKernels.max(group.x, group.at(group.xo, i), group.columns);
    }
  }

  private static void exp(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long yo = group.at(group.yo, i);
      for (long at = 0; at < 4L * group.columns; at += 4) {
        float x = group.x.get(JAVA_FLOAT, xo + at);
        group.y.set(JAVA_FLOAT, yo + at, ScalarMath.expNormal(x - group.number[i]));
      }
    }
  }

  private static void inverse(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      double sum = RowKernels.sum(group.y, group.at(group.yo, i), group.columns);
      group.number[i] = (float) (1 / sum);
    }
  }

  private static void scale(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long at = group.at(group.yo, i);
      RowKernels.scale(group.y, at, group.number[i], group.y, at, group.columns);
    }
  }

  private static void dot(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long dyo = group.at(group.dyo, i);
      group.number[i] = (float) RowKernels.dot(group.x, xo, group.dy, dyo, group.columns);
    }
  }

  private static void gradient(SoftmaxGroup group) {
    for (int i = 0; i < group.rows; i++) {
      long xo = group.at(group.xo, i);
      long dyo = group.at(group.dyo, i);
      long yo = group.at(group.yo, i);
      for (long at = 0; at < 4L * group.columns; at += 4) {
        float dy = group.dy.get(JAVA_FLOAT, dyo + at);
        group.y.set(JAVA_FLOAT, yo + at, (dy - group.number[i]) * group.x.get(JAVA_FLOAT, xo + at));
      }
    }
  }
}
