package fornax.cpu;

/// The elementwise loops of [Attention], over panels of scores with one query in each lane.
///
/// A panel holds `rows × width` floats, `width` being a tile's columns: row `j` belongs to key `j`,
/// column `i` to query `i`. Query `i` of a panel sees row `j` if `j < visible + i`. Every sum over
/// keys runs upwards, one query in one lane. The loops here are the scalar ones and give the same
/// bits as the vector ones.
class AttentionKernels {
  final int width;

  AttentionKernels(int width) {
    this.width = width;
  }

  /// Turns scores into weights: `s = exp(scale·s − m)` with `m` the largest visible `scale·s` of a
  /// query, 0 where it is hidden; `inverse = 1 / Σ s`, `logSumExp = m + log Σ s`. A query that sees
  /// nothing gets `inverse` 0 and `logSumExp` −∞.
  void softmax(float[] s, int rows, int visible, float scale, float[] inverse, float[] logSumExp) {
    for (int i = 0; i < width; i++) {
      float max = Float.NEGATIVE_INFINITY;
      int seen = Math.clamp((long) visible + i, 0, rows);
      for (int j = 0; j < seen; j++) {
        float x = s[j * width + i] * scale;
        s[j * width + i] = x;
        max = Math.max(max, x);
      }
      float shift = max == Float.NEGATIVE_INFINITY ? 0f : max;
      float sum = 0f;
      for (int j = 0; j < seen; j++) {
        float p = ScalarMath.expNormal(s[j * width + i] - shift);
        s[j * width + i] = p;
        sum += p;
      }
      for (int j = seen; j < rows; j++) {
        s[j * width + i] = 0f;
      }
      inverse[i] = sum == 0f ? 0f : 1f / sum;
      logSumExp[i] = shift + ScalarMath.log(sum);
    }
  }

  /// `x = factor · x`, or `hidden` where `seen`, of the same layout, is 0; for `rows` rows from
  /// `at` on.
  void select(float[] x, int at, float[] seen, int rows, float factor, float hidden) {
    for (int i = 0; i < rows * width; i++) {
      x[at + i] = seen[i] == 0f ? hidden : x[at + i] * factor;
    }
  }

  /// `x = x ⊙ factors` for `rows` rows from `at` on.
  void multiply(float[] x, int at, float[] factors, int rows) {
    for (int i = 0; i < rows * width; i++) {
      x[at + i] *= factors[i];
    }
  }

  /// `x = x · factor[i]` for `rows` rows.
  void scaleLanes(float[] x, int at, int rows, float[] factor) {
    for (int j = 0; j < rows; j++) {
      for (int i = 0; i < width; i++) {
        x[at + j * width + i] *= factor[i];
      }
    }
  }

  /// From scores and weight gradients: `s = p = exp(scale·s − logSumExp)`, 0 where hidden, and `dp
  /// = scale·p·(dp − delta)`. `logSumExp` and `delta` are read from `lanes` on.
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
    for (int j = 0; j < rows; j++) {
      for (int i = 0; i < width; i++) {
        int x = at + j * width + i;
        float p = j < visible + i ? ScalarMath.expNormal(s[x] * scale - logSumExp[lanes + i]) : 0f;
        s[x] = p;
        dp[x] = p * (dp[x] - delta[lanes + i]) * scale;
      }
    }
  }

  /// `sum[i] = Σ a·b` over `rows` rows.
  void dotLanes(float[] a, int at, float[] b, int rows, float[] sum, int lanes) {
    for (int i = 0; i < width; i++) {
      float total = 0f;
      for (int j = 0; j < rows; j++) {
        total = Math.fma(a[at + j * width + i], b[j * width + i], total);
      }
      sum[lanes + i] = total;
    }
  }

  /// `x[at … at + length) += t[…]`.
  void add(float[] x, int at, float[] t, int length) {
    for (int i = 0; i < length; i++) {
      x[at + i] += t[i];
    }
  }
}
