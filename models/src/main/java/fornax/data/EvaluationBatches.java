package fornax.data;

/// Batches of consecutive windows that cover a text in order: `inputs [rows, context]`, and
/// `targets [rows, context]`, the same windows one token later.
///
/// Each token but the first is a target exactly once. Windows begin a context apart, but for the
/// last, which ends with the text: those of its targets that the window before it has are
/// [#IGNORED], and so are all targets of rows that fill up the last batch. With a cap the windows
/// are spread evenly.
public final class EvaluationBatches implements OrderedBatches {
  /// The target of a place that does not count, as PyTorch's `ignore_index`.
  public static final int IGNORED = -100;

  private final TokenSequence tokens;
  private final long start; // of the part that is covered
  private final long length; // likewise
  private final int rows;
  private final int context;
  private final long allWindows;
  private final long windows;

  EvaluationBatches(TokenSequence tokens, long start, int rows, int context, long maxWindows) {
    if (rows < 1 || maxWindows < 1) {
      throw new IllegalArgumentException(
          "batches: got " + rows + " rows and " + maxWindows + " windows; need at least 1 of each");
    }
    this.tokens = tokens;
    this.start = start;
    this.length = tokens.length() - start;
    this.rows = rows;
    this.context = context;
    this.allWindows = (length - 1 + context - 1) / context;
    this.windows = Math.min(allWindows, maxWindows);
  }

  /// Batches that cover all of `tokens`, for a text that is not split.
  ///
  /// @throws DataException if there are fewer than `context + 1` tokens
  /// @throws IllegalArgumentException if `rows` or `context` is not positive
  public static EvaluationBatches of(int[] tokens, int rows, int context) throws DataException {
    return of(TokenSequence.of(tokens.clone()), rows, context);
  }

  /// The same of tokens that may be mapped, and are not copied.
  ///
  /// @throws DataException if there are fewer than `context + 1` tokens
  /// @throws IllegalArgumentException if `rows` or `context` is not positive
  public static EvaluationBatches of(TokenSequence tokens, int rows, int context)
      throws DataException {
    if (context < 1) {
      throw new IllegalArgumentException("batches: got context " + context + "; need at least 1");
    }
    if (tokens.length() <= context) {
      throw new DataException(
          "dataset: the text is too short; got "
              + tokens.length()
              + " tokens; need "
              + (context + 1L)
              + ", the context of "
              + context
              + " and one; use a longer text"
              + (tokens.length() > 1 ? " or a context of at most " + (tokens.length() - 1) : ""));
    }
    return new EvaluationBatches(tokens, 0, rows, context, Long.MAX_VALUE);
  }

  /// The number of windows in a batch.
  @Override
  public int rows() {
    return rows;
  }

  /// The number of tokens in a window.
  @Override
  public int context() {
    return context;
  }

  /// The number of batches.
  @Override
  public int count() {
    return Math.toIntExact((windows + rows - 1) / rows);
  }

  /// Writes batch `number` to `inputs` and `targets`, and returns how many targets count; at least
  /// one.
  ///
  /// @throws IllegalArgumentException if an array has not `rows × context` elements
  /// @throws IndexOutOfBoundsException if `number` is outside `[0, count)`
  @Override
  public int fill(int number, int[] inputs, int[] targets) {
    requireLength(rows, context, inputs, targets);
    if (number < 0 || number >= count()) {
      throw new IndexOutOfBoundsException(
          "batches: got batch " + number + "; need 0 to " + (count() - 1));
    }
    int counted = 0;
    for (int row = 0; row < rows; row++) {
      long chosen = (long) number * rows + row;
      boolean real = chosen < windows;
      long window = spread(real ? chosen : windows - 1);
      long regular = window * context;
      long begin = Math.min(regular, length - 1 - context);
      int ignored = real ? (int) (regular - begin) : context;
      tokens.copy(start + begin, inputs, row * context, context);
      tokens.copy(start + begin + 1, targets, row * context, context);
      for (int i = 0; i < ignored; i++) {
        targets[row * context + i] = IGNORED;
      }
      counted += context - ignored;
    }
    return counted;
  }

  /// The place of the chosen window among all: `⌊chosen × all / windows⌋`, without overflow.
  private long spread(long chosen) {
    return windows == allWindows ? chosen : chosen * allWindows / windows;
  }

  static void requireLength(int rows, int context, int[] inputs, int[] targets) {
    long length = (long) rows * context;
    if (inputs.length != length || targets.length != length) {
      throw new IllegalArgumentException(
          "batches: got arrays of "
              + inputs.length
              + " and "
              + targets.length
              + "; need "
              + length
              + " for ["
              + rows
              + ", "
              + context
              + "]");
    }
  }
}
