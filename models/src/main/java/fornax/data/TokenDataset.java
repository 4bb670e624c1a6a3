package fornax.data;

import java.util.Arrays;

/// The tokens of a text, its first nine tenths for training and its last tenth for validation.
public final class TokenDataset {
  private final int[] training;
  private final int[] validation;
  private final int context;

  private TokenDataset(int[] training, int[] validation, int context) {
    this.training = training;
    this.validation = validation;
    this.context = context;
  }

  /// Splits `tokens` for a model that sees `context` of them at a time.
  ///
  /// @throws DataException if either part has fewer than `context + 1` tokens
  /// @throws IllegalArgumentException if `context` is not positive
  public static TokenDataset of(int[] tokens, int context) throws DataException {
    if (context < 1) {
      throw new IllegalArgumentException("dataset: got context " + context + "; need at least 1");
    }
    int split = (int) (tokens.length * 9L / 10);
    int held = tokens.length - split;
    if (held <= context || split <= context) {
      throw new DataException(
          "dataset: the text is too short; got "
              + tokens.length
              + " tokens, "
              + held
              + " in the last tenth; need "
              + (context + 1L)
              + " there, the context of "
              + context
              + " and one; "
              + fix(held, split, context));
    }
    return new TokenDataset(
        Arrays.copyOf(tokens, split), Arrays.copyOfRange(tokens, split, tokens.length), context);
  }

  private static String fix(int held, int split, int context) {
    int fitting = Math.min(held, split) - 1;
    long tokens = 10L * context + 1; // the fewest whose last tenth holds context + 1
    return "use a text of at least "
        + tokens
        + " tokens"
        + (fitting >= 1 ? ", or a context of at most " + fitting : "");
  }

  /// The number of tokens a model sees at a time.
  public int context() {
    return context;
  }

  /// The number of tokens for training.
  public int trainingTokens() {
    return training.length;
  }

  /// The number of tokens for validation.
  public int validationTokens() {
    return validation.length;
  }

  /// Random batches of `rows` windows of the training part, determined by `seed`.
  ///
  /// @throws IllegalArgumentException if `rows` is not positive
  public TrainingBatches trainingBatches(long seed, int rows) {
    return new TrainingBatches(training, seed, rows, context);
  }

  /// Batches of `rows` windows that cover the validation part.
  ///
  /// @throws IllegalArgumentException if `rows` is not positive
  public EvaluationBatches evaluationBatches(int rows) {
    return new EvaluationBatches(validation, rows, context, Long.MAX_VALUE);
  }

  /// Batches of `rows` windows spread evenly over the validation part, at most `maxWindows` of
  /// them.
  ///
  /// @throws IllegalArgumentException if `rows` or `maxWindows` is not positive
  public EvaluationBatches evaluationBatches(int rows, long maxWindows) {
    return new EvaluationBatches(validation, rows, context, maxWindows);
  }
}
