package fornax.data;

/// The tokens of a text, its first nine tenths for training and its last tenth for validation.
public final class TokenDataset implements TrainingData {
  private final TokenSequence tokens;
  private final long split; // where validation begins
  private final int context;

  private TokenDataset(TokenSequence tokens, long split, int context) {
    this.tokens = tokens;
    this.split = split;
    this.context = context;
  }

  /// Splits `tokens`, which are not copied, for a model that sees `context` of them at a time.
  ///
  /// @throws DataException if either part has fewer than `context + 1` tokens
  /// @throws IllegalArgumentException if `context` is not positive
  public static TokenDataset of(int[] tokens, int context) throws DataException {
    return of(TokenSequence.of(tokens), context);
  }

  /// Splits `tokens` for a model that sees `context` of them at a time.
  ///
  /// @throws DataException if either part has fewer than `context + 1` tokens
  /// @throws IllegalArgumentException if `context` is not positive
  public static TokenDataset of(TokenSequence tokens, int context) throws DataException {
    if (context < 1) {
      throw new IllegalArgumentException("dataset: got context " + context + "; need at least 1");
    }
    long all = tokens.length();
    long split = all / 10 * 9 + all % 10 * 9 / 10;
    long held = all - split;
    if (held <= context || split <= context) {
      throw new DataException(
          "dataset: the text is too short; got "
              + all
              + " tokens, "
              + held
              + " in the last tenth; need "
              + (context + 1L)
              + " there, the context of "
              + context
              + " and one; "
              + fix(held, split, context));
    }
    return new TokenDataset(tokens, split, context);
  }

  private static String fix(long held, long split, int context) {
    long fitting = Math.min(held, split) - 1;
    long tokens = 10L * context + 1; // the fewest whose last tenth holds context + 1
    return "use a text of at least "
        + tokens
        + " tokens"
        + (fitting >= 1 ? ", or a context of at most " + fitting : "");
  }

  /// The number of tokens a model sees at a time.
  @Override
  public int context() {
    return context;
  }

  /// The number of tokens for training.
  @Override
  public long trainingTokens() {
    return split;
  }

  /// The number of tokens for validation.
  @Override
  public long validationTokens() {
    return tokens.length() - split;
  }

  /// All but the first.
  @Override
  public long validationTargets() {
    return validationTokens() - 1;
  }

  /// Random batches of `rows` windows of the training part, determined by `seed`.
  ///
  /// @throws IllegalArgumentException if `rows` is not positive
  @Override
  public TrainingBatches trainingBatches(long seed, int rows) {
    return new TrainingBatches(tokens, split, seed, rows, context);
  }

  /// Batches of `rows` windows that cover the validation part.
  ///
  /// @throws IllegalArgumentException if `rows` is not positive
  public EvaluationBatches evaluationBatches(int rows) {
    return new EvaluationBatches(tokens, split, rows, context, Long.MAX_VALUE);
  }

  /// Batches of `rows` windows spread evenly over the validation part, at most `maxWindows` of
  /// them.
  ///
  /// @throws IllegalArgumentException if `rows` or `maxWindows` is not positive
  @Override
  public EvaluationBatches evaluationBatches(int rows, long maxWindows) {
    return new EvaluationBatches(tokens, split, rows, context, maxWindows);
  }
}
