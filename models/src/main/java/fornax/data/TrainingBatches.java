package fornax.data;

import java.util.Arrays;

/// Batches of random windows of a text: `inputs [rows, context]`, and `targets [rows, context]`,
/// the same windows one token later.
///
/// Row `r` of batch `n` is window number `n × rows + r`, and where a window begins is a pure
/// function of the seed and its number: the output of that number of SplitMix64. So resuming needs
/// no state, and four batches of 3 rows hold the same windows as one of 12. Source: Steele, Lea and
/// Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
public final class TrainingBatches implements RandomBatches {
  private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;

  private final TokenSequence tokens;
  private final long length; // of the part that windows are of
  private final long key;
  private final int rows;
  private final int context;

  TrainingBatches(TokenSequence tokens, long length, long seed, int rows, int context) {
    if (rows < 1) {
      throw new IllegalArgumentException("batches: got " + rows + " rows; need at least 1");
    }
    this.tokens = tokens;
    this.length = length;
    this.key = mix(seed + GOLDEN_GAMMA); // near seeds give far keys, so their streams don't overlap
    this.rows = rows;
    this.context = context;
  }

  /// The number of windows in a batch.
  public int rows() {
    return rows;
  }

  /// The number of tokens in a window.
  public int context() {
    return context;
  }

  /// Writes batch `number` to `inputs` and `targets`.
  ///
  /// @throws IllegalArgumentException if `number` is negative, or an array has not `rows × context`
  ///   elements
  @Override
  public void fill(long number, int[] inputs, int[] targets) {
    EvaluationBatches.requireLength(rows, context, inputs, targets);
    requireNumber(number);
    for (int row = 0; row < rows; row++) {
      long begin = begin(number * rows + row);
      tokens.copy(begin, inputs, row * context, context);
      tokens.copy(begin + 1, targets, row * context, context);
    }
  }

  /// The first token of a window, uniform over all `tokens − context` places (up to 2⁻³³ of bias).
  long begin(long window) {
    long bits = mix(key + (window + 1) * GOLDEN_GAMMA);
    return Math.unsignedMultiplyHigh(bits, length - context);
  }

  static void requireNumber(long number) {
    if (number < 0) {
      throw new IllegalArgumentException("batches: got batch " + number + "; need 0 or more");
    }
  }

  /// The numbers 0 to `count − 1` in an order that `seed` and `round` determine.
  static int[] permutation(long seed, long round, int count) {
    int[] order = new int[count];
    Arrays.setAll(order, i -> i);
    long key = mix(mix(seed + GOLDEN_GAMMA) + (round + 1) * GOLDEN_GAMMA);
    for (int i = count - 1; i > 0; i--) {
      int j = (int) Math.unsignedMultiplyHigh(mix(key + i * GOLDEN_GAMMA), i + 1L);
      int other = order[j];
      order[j] = order[i];
      order[i] = other;
    }
    return order;
  }

  private static long mix(long z) {
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }
}
