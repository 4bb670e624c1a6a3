package fornax.cli;

import java.io.PrintStream;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressState;
import org.jspecify.annotations.Nullable;

/// How far one long piece of work is: a bar on one line of a terminal, and elsewhere a line every
/// ten seconds. Of what is done at once nothing is seen.
final class Meter implements AutoCloseable {
  private static final int REDRAW_MILLIS = 200;
  private static final long LATE_NANOS = 200_000_000L;
  private static final long QUIET_NANOS = 10_000_000_000L;
  private static final int WIDEST_BAR = 40;

  private final PrintStream err;
  private final int columns;
  private final String what;
  private final long all;
  private final long start = System.nanoTime();
  private long last = start;
  private @Nullable ProgressBar bar;

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
    ProgressBar drawn = bar;
    if (drawn != null) {
      var _ = drawn.stepTo(done);
      return;
    }
    long now = System.nanoTime();
    if (all > 0 && columns > 0 && now - start >= LATE_NANOS) {
      bar =
          new ProgressBarBuilder()
              .setInitialMax(all)
              .setUpdateIntervalMillis(REDRAW_MILLIS)
              .setRenderer(this::render)
              .setConsumer(new TerminalLine(err, columns - 1))
              .build()
              .stepTo(done);
    } else if (all > 0 && columns == 0 && now - last >= QUIET_NANOS) {
      last = now;
      err.println(line(done, ""));
    }
  }

  private String render(ProgressState state, int columns) {
    int filled = (int) (WIDEST_BAR * share(state.getCurrent()));
    String line =
        line(state.getCurrent(), " " + "━".repeat(filled) + "─".repeat(WIDEST_BAR - filled));
    return line.substring(0, Math.min(line.length(), columns));
  }

  private double share(long done) {
    return Math.min(1, (double) done / all);
  }

  private String line(long done, String bar) {
    double share = share(done);
    double seconds = (System.nanoTime() - start) / 1e9;
    String left = share > 0 ? Progress.clock(seconds * (1 - share) / share) + " left" : "";
    return String.format(Locale.ROOT, "%s%s %3.0f %%  %s", what, bar, 100 * share, left);
  }

  /// Leaves the terminal's line empty.
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
      synchronized (err) {
        err.print(TerminalLine.CLEAR);
        err.flush();
      }
    }
  }
}
