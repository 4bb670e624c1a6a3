package fornax.cli;

import java.io.PrintStream;
import java.util.Locale;

/// How far one long piece of work is: a bar on one line of a terminal, and elsewhere a line every
/// ten seconds.
final class Meter implements AutoCloseable {
  private static final String CLEAR_LINE = "\r\u001b[K";
  private static final long REDRAW_NANOS = 200_000_000L;
  private static final long QUIET_NANOS = 10_000_000_000L;
  private static final int WIDEST_BAR = 40;

  private final PrintStream err;
  private final int columns;
  private final String what;
  private final long all;
  private final long start = System.nanoTime();
  private long last = start;
  private boolean drawn;

  /// @param what the work, such as `reading`
  /// @param all the end of [#show]'s numbers; 0: not known
  Meter(Output output, String what, long all) {
    err = output.err();
    columns = output.columns();
    this.what = what;
    this.all = all;
  }

  /// Stands at `done` of all.
  void show(long done) {
    long now = System.nanoTime();
    if (all > 0 && now - last >= (columns > 0 ? REDRAW_NANOS : QUIET_NANOS)) {
      last = now;
      double share = Math.min(1, (double) done / all);
      String line = line(share, share > 0 ? (now - start) / 1e9 * (1 - share) / share : 0);
      if (columns > 0) {
        drawn = true;
        err.print(CLEAR_LINE + line.substring(0, Math.min(line.length(), columns - 1)));
        err.flush();
      } else {
        err.println(line);
      }
    }
  }

  private String line(double share, double secondsLeft) {
    int filled = (int) (WIDEST_BAR * share);
    String bar = columns > 0 ? " " + "━".repeat(filled) + "─".repeat(WIDEST_BAR - filled) : "";
    return what
        + bar
        + String.format(Locale.ROOT, " %3.0f %%  ", 100 * share)
        + Progress.clock(secondsLeft)
        + " left";
  }

  /// Leaves the terminal's line empty.
  @Override
  public void close() {
    if (drawn) {
      err.print(CLEAR_LINE);
      err.flush();
    }
  }
}
