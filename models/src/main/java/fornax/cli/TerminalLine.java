package fornax.cli;

import java.io.PrintStream;
import me.tongfei.progressbar.ProgressBarConsumer;

/// A terminal's line that each drawing of a progress bar draws over.
final class TerminalLine implements ProgressBarConsumer {
  /// Empties the line that the cursor stands in.
  static final String CLEAR = "\r\u001b[K";

  private final PrintStream err;
  private final int columns;

  TerminalLine(PrintStream err, int columns) {
    this.err = err;
    this.columns = columns;
  }

  @Override
  public int getMaxRenderedLength() {
    return columns;
  }

  @Override
  public void accept(String rendered) {
    synchronized (err) {
      err.print(CLEAR + rendered);
      err.flush();
    }
  }

  /// The library calls this unless the display was very short; so the displays end the line.
  @Override
  public void close() {}
}
