package fornax.cli;

import java.io.PrintStream;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressState;

/// For a terminal: one line that is drawn over itself a few times a second.
final class ProgressBarDisplay implements Progress {
  private static final int UPDATE_MILLIS = 200;
  private static final int WIDEST_BAR = 40;
  private static final int NARROWEST_BAR = 5;

  private final PrintStream err;
  private final ProgressBar bar;
  private volatile Status status;

  /// @param columns the terminal's width
  ProgressBarDisplay(PrintStream err, int columns, int steps) {
    this.err = err;
    status = new Status(0, steps, Double.NaN, Double.NaN, 0, 0);
    bar =
        new ProgressBarBuilder()
            .setInitialMax(steps)
            .setUpdateIntervalMillis(UPDATE_MILLIS)
            .setRenderer(this::render)
            .setConsumer(new TerminalLine(err, columns - 1))
            .build();
  }

  @Override
  public void show(Status status, boolean milestone) {
    this.status = status;
    var _ = bar.stepTo(status.step());
  }

  @Override
  public void note(String text) {
    synchronized (err) {
      err.print(TerminalLine.CLEAR);
      err.println(text);
    }
    bar.refresh();
  }

  @Override
  public void close() {
    bar.close();
    err.println();
  }

  private String render(ProgressState state, int columns) {
    return render(status, columns);
  }

  /// ` 690/2000 ━━━━━━────────────── loss 1.8123 val 1.8012 40,112 tokens/s 0:24 left`
  static String render(Status status, int columns) {
    int digits = String.valueOf(status.steps()).length();
    String count =
        String.format(Locale.ROOT, "%" + digits + "d/%d ", status.step(), status.steps());
    String figures = status.figures();
    int room = Math.min(WIDEST_BAR, columns - count.length() - figures.length() - 1);
    StringBuilder line = new StringBuilder(count);
    if (room >= NARROWEST_BAR) {
      int filled = (int) ((long) room * status.step() / status.steps());
      line.repeat('━', filled).repeat('─', room - filled).append(' ');
    }
    line.append(figures);
    line.setLength(Math.min(line.length(), Math.max(0, columns)));
    return line.toString();
  }
}
