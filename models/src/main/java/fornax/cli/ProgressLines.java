package fornax.cli;

import java.io.PrintStream;
import java.util.Locale;

/// For a file or a pipe: a line at each milestone, and where those are long apart, one every few
/// seconds.
final class ProgressLines implements Progress {
  private static final long QUIET_NANOS = 10_000_000_000L;

  private final PrintStream err;
  private long last = System.nanoTime();

  ProgressLines(PrintStream err) {
    this.err = err;
  }

  @Override
  public void show(Status status, boolean milestone) {
    long now = System.nanoTime();
    if (!milestone && now - last < QUIET_NANOS) {
      return;
    }
    last = now;
    int width = String.valueOf(status.steps()).length();
    err.println(
        String.format(
            Locale.ROOT,
            "step %" + width + "d/%d  %s",
            status.step(),
            status.steps(),
            status.figures()));
  }

  @Override
  public void note(String text) {
    err.println(text);
  }

  @Override
  public void close() {}
}
