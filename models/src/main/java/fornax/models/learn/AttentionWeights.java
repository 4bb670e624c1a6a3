package fornax.models.learn;

import fornax.nn.Initializer;
import fornax.nn.Linear;
import fornax.nn.Weights;
import fornax.tensor.AttentionSpec;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Arrays;

/// Attention by hand: a query's similarity to keys, softmax, and the mean of values it weighs.
final class AttentionWeights implements Rung {
  // What "average" asks for and what "batting" offers: sport, number, person, place.
  private static final float[] QUERY = {1.0f, 0.8f, 0.5f, 0.2f};
  private static final float[] KEY = {0.9f, 1.0f, 1.0f, 0.9f};

  private static final String[] WORDS = {"his", "batting", "average", "is", "high"};
  private static final String[] OTHERS = {"sa", "moyenne", "est", "haute"};
  private static final int WIDTH = 8;
  private static final int HEADS = 2;

  @Override
  public String name() {
    return "attention";
  }

  @Override
  public String title() {
    return "attention by hand: query, key, value, mask, softmax, heads, self and cross";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      similarity(lesson);
      sentence(lesson);
    }
  }

  /// `q·k / √d` for one query and one key.
  private static void similarity(Lesson lesson) {
    double similarity = Tensor.of(QUERY).mul(Tensor.of(KEY)).sum().item();
    double scaled = similarity / Math.sqrt(QUERY.length);
    lesson.say(
        "\"average\" asks %s, \"batting\" offers %s", Arrays.toString(QUERY), Arrays.toString(KEY));
    lesson.say("similarity %.2f, divided by √%d: %.2f", similarity, QUERY.length, scaled);
    lesson.figure("similarity", similarity);
    lesson.figure("scaledSimilarity", scaled);
  }

  /// `softmax(q·kᵀ/√d)`; with `causal`, keys behind a query's own place count −∞. Shapes: `q [H,
  /// Tq, D], k [H, Tk, D] → [H, Tq, Tk]`.
  private static Tensor weights(Tensor q, Tensor k, boolean causal) {
    Tensor scores = q.matmul(k.transpose()).div(Math.sqrt(q.dim(2)));
    if (causal) {
      long t = q.dim(1);
      Tensor query = Tensor.range(t).reshape(t, 1);
      Tensor key = Tensor.range(t).reshape(1, t);
      scores = scores.maskedFill(key.gt(query), Double.NEGATIVE_INFINITY);
    }
    return scores.softmax(-1);
  }

  /// `[T, heads·D] → [heads, T, D]`.
  private static Tensor split(Tensor x) {
    return x.reshape(x.dim(0), HEADS, WIDTH / HEADS).swapAxes(0, 1);
  }

  /// `[heads, T, D] → [T, heads·D]`.
  private static Tensor join(Tensor x) {
    return x.swapAxes(0, 1).reshape(x.dim(1), WIDTH);
  }

  private static Tensor words(Weights weights, int count) {
    return weights.create(Initializer.normal(1.5), count, WIDTH); // [T, C]
  }

  private static void sentence(Lesson lesson) throws IOException {
    Weights random = Weights.seeded(lesson.setup().seed());
    Tensor x = words(random, WORDS.length);
    Tensor other = words(random, OTHERS.length);
    try (var qkv = new Linear(random, WIDTH, 3 * WIDTH)) {
      Tensor[] parts = qkv.forward(x).split(1, WIDTH).toArray(Tensor[]::new);
      Tensor q = split(parts[0]); // [H, T, D]
      Tensor k = split(parts[1]);
      Tensor v = split(parts[2]);
      Tensor self = weights(q, k, true); // [H, T, T]
      Tensor mixed = join(self.matmul(v)); // [T, C]
      Tensor fused = Tensor.selfAttention(qkv.forward(x).unsqueeze(0), HEADS, AttentionSpec.CAUSAL);
      double difference = mixed.sub(fused.squeeze(0)).abs().max().item();
      Tensor[] memory = qkv.forward(other).split(1, WIDTH).toArray(Tensor[]::new);
      Tensor cross = weights(q, split(memory[1]), false); // [H, T, 4]
      Tensor crossed = join(cross.matmul(split(memory[2]))); // [T, C]
      double future = future(self);
      lesson.say(
          "%d heads over %d words: rows sum to 1 within %.1e, weights of later words are"
              + " %s; the fused operation differs by %.1e",
          HEADS, WORDS.length, rowError(self), future, difference);
      lesson.say(
          "cross attention: %s queries, %s keys, result %s",
          WORDS.length, OTHERS.length, crossed.shape());
      lesson.figure("rowSumError", Math.max(rowError(self), rowError(cross)));
      lesson.figure("futureWeight", future);
      lesson.figure("differenceFromFused", difference);
      lesson.picture(
          "attention",
          Picture.beside(
              map("Self, head 1", self.select(0, 0), WORDS),
              map("Self, head 2", self.select(0, 1), WORDS),
              map("Cross, head 1", cross.select(0, 0), OTHERS)));
    }
  }

  private static double rowError(Tensor weights) {
    return weights.sum(-1).sub(1).abs().max().item();
  }

  /// The largest weight of a key behind its query.
  private static double future(Tensor weights) {
    float[] values = weights.toFloatArray();
    int t = WORDS.length;
    double largest = 0;
    for (int i = 0; i < values.length; i++) {
      if (i % t > i / t % t) {
        largest = Math.max(largest, Math.abs(values[i]));
      }
    }
    return largest;
  }

  private static Picture map(String title, Tensor weights, String[] keys) {
    double[] values = weights.toDoubleArray();
    double[][] rows = new double[WORDS.length][];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = Arrays.copyOfRange(values, i * keys.length, (i + 1) * keys.length);
    }
    return new HeatMap(title, "query", "key", WORDS, keys, rows, 64, HeatMap::twoDecimals);
  }
}
