package fornax.models.gpt;

import fornax.backend.Philox;
import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;

/// How a token is chosen from logits: those outside the `topK` likeliest are dropped, then those
/// outside the smallest set whose probability at this temperature reaches `topP`, then one is
/// drawn. Tokens that stand in the text already may be made less likely before.
///
/// @param temperature what logits are divided by; 0 takes the likeliest always
/// @param topK how many tokens may be drawn; 0: all
/// @param topP the probability that the tokens which may be drawn reach together; 1: all. Source:
///   arXiv:1904.09751
/// @param seed the seed of the draws: draw `i` depends on seed and `i` alone
/// @param repetitionPenalty what a logit is divided by, or where negative multiplied with, if its
///   token stands in the text already; 1: no penalty. Source: arXiv:1909.05858 §4.1
public record Sampling(
    double temperature, int topK, double topP, long seed, double repetitionPenalty) {
  /// Always the likeliest token.
  public static final Sampling GREEDY = new Sampling(0, 0, 1, 0, 1);

  /// @throws IllegalArgumentException if temperature or topK is negative, topP outside (0, 1], or
  ///   the penalty not above 0
  public Sampling {
    if (!(temperature >= 0 && temperature < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "temperature: not usable; got " + temperature + "; need a number of at least 0");
    }
    if (topK < 0) {
      throw new IllegalArgumentException(
          "top-k: negative; got " + topK + "; need at least 1, or 0 for all tokens");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new IllegalArgumentException("top-p: not usable; got " + topP + "; need 0 < p <= 1");
    }
    if (!(repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "repetition penalty: not usable; got "
              + repetitionPenalty
              + "; need a number above 0, or 1 for none");
    }
  }

  /// From all tokens, at temperature 1.
  public static Sampling seeded(long seed) {
    return new Sampling(1, 0, 1, seed, 1);
  }

  public Sampling withTemperature(double value) {
    return new Sampling(value, topK, topP, seed, repetitionPenalty);
  }

  public Sampling withTopK(int count) {
    return new Sampling(temperature, count, topP, seed, repetitionPenalty);
  }

  public Sampling withTopP(double probability) {
    return new Sampling(temperature, topK, probability, seed, repetitionPenalty);
  }

  public Sampling withSeed(long number) {
    return new Sampling(temperature, topK, topP, number, repetitionPenalty);
  }

  public Sampling withRepetitionPenalty(double factor) {
    return new Sampling(temperature, topK, topP, seed, factor);
  }

  /// [#choose(float[], long)] after the penalty on the tokens in `seen`. `logits` are changed.
  ///
  /// @throws IllegalArgumentException if a logit is NaN, or none is finite
  public int choose(float[] logits, long draw, BitSet seen) {
    if (repetitionPenalty != 1) {
      for (int i = seen.nextSetBit(0); i >= 0 && i < logits.length; i = seen.nextSetBit(i + 1)) {
        double logit = logits[i];
        logits[i] = (float) (logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty);
      }
    }
    return choose(logits, draw);
  }

  /// The token chosen in draw `draw` from `logits`, one for each token; of equals, the first is the
  /// likelier.
  ///
  /// @throws IllegalArgumentException if a logit is NaN, or none is finite
  public int choose(float[] logits, long draw) {
    int best = 0;
    for (int i = 0; i < logits.length; i++) {
      if (Float.isNaN(logits[i])) {
        throw new IllegalArgumentException("sample: logit is NaN; got token " + i);
      }
      best = logits[i] > logits[best] ? i : best;
    }
    if (!Float.isFinite(logits[best])) {
      throw new IllegalArgumentException(
          "sample: logits not finite; got a maximum of " + logits[best]);
    }
    if (temperature == 0 || topK == 1) {
      return best;
    }
    int[] order = order(logits);
    double[] weights = new double[order.length];
    double total = 0;
    for (int i = 0; i < order.length; i++) {
      weights[i] = StrictMath.exp(((double) logits[order[i]] - logits[best]) / temperature);
      total += weights[i];
    }
    double limit = topP * total;
    double kept = 0;
    int count = 0;
    while (count < order.length && (count == 0 || kept < limit)) {
      kept += weights[count++];
    }
    double threshold = uniform(draw) * kept;
    double sum = 0;
    for (int i = 0; i < count - 1; i++) {
      sum += weights[i];
      if (sum > threshold) {
        return order[i];
      }
    }
    return order[count - 1];
  }

  // The tokens that topK leaves: by falling logit where a limit needs that, else as they come.
  private int[] order(float[] logits) {
    if (topP == 1 && (topK == 0 || topK >= logits.length)) {
      return IntStream.range(0, logits.length).toArray();
    }
    long[] keys = new long[logits.length]; // by falling logit and then rising token
    for (int i = 0; i < keys.length; i++) {
      int bits = Float.floatToIntBits(-logits[i] + 0f); // one zero, so that equals are equal
      int ordered = bits ^ bits >> 31 & Integer.MAX_VALUE;
      keys[i] = (long) ordered << 32 | i;
    }
    Arrays.sort(keys);
    int[] order = Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
    return topK == 0 ? order : Arrays.copyOf(order, Math.min(topK, order.length));
  }

  // 53 bits of Philox in [0, 1): keyed by the seed, counted by the draw.
  private double uniform(long draw) {
    int[] words = new int[4];
    Philox.block((int) seed, (int) (seed >>> 32), (int) draw, (int) (draw >>> 32), 0, 0, words);
    long bits = (words[0] & 0xffffffffL) << 32 | (words[1] & 0xffffffffL);
    return (bits >>> 11) * 0x1p-53;
  }
}
