package fornax.cli;

import java.util.Locale;

/// Shows how training goes on.
interface Progress extends AutoCloseable {
  /// Shows where training stands.
  ///
  /// @param milestone whether this should be seen even where lines are few
  void show(Status status, boolean milestone);

  /// Prints `text`, which may have several lines.
  void note(String text);

  /// Ends the display. The last status stays.
  @Override
  void close();

  /// Where training stands.
  ///
  /// @param loss smoothed
  /// @param validationLoss NaN before the first
  /// @param tokensPerSecond 0 where that is not known
  record Status(
      int step,
      int steps,
      double loss,
      double validationLoss,
      double tokensPerSecond,
      double secondsLeft) {
    /// `loss 2.4531 val 2.4411 38,912 tokens/s 0:42 left`.
    String figures() {
      StringBuilder text = new StringBuilder();
      if (!Double.isNaN(loss)) {
        text.append(String.format(Locale.ROOT, "loss %.4f  ", loss));
      }
      if (!Double.isNaN(validationLoss)) {
        text.append(String.format(Locale.ROOT, "val %.4f  ", validationLoss));
      }
      if (tokensPerSecond > 0) {
        text.append(String.format(Locale.ROOT, "%,.0f tokens/s  ", tokensPerSecond));
      }
      if (tokensPerSecond > 0 || secondsLeft > 0 && Double.isFinite(secondsLeft)) {
        text.append(clock(secondsLeft)).append(" left");
      }
      return text.toString().stripTrailing();
    }
  }

  /// `0:42`, `12:05` or `3:00:00`.
  static String clock(double seconds) {
    long all = Math.round(seconds);
    return all < 3600
        ? String.format(Locale.ROOT, "%d:%02d", all / 60, all % 60)
        : String.format(Locale.ROOT, "%d:%02d:%02d", all / 3600, all / 60 % 60, all % 60);
  }
}
