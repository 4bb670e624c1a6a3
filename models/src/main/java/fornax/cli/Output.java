package fornax.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.util.function.IntSupplier;

/// Where a command writes: its result to `out`, everything said on the way to `err`. Both are
/// UTF-8.
final class Output {
  private static final int DEFAULT_COLUMNS = 80;

  private final PrintStream out;
  private final PrintStream err;
  private final IntSupplier columns;

  /// @param columns the width of the terminal that `err` goes to; 0 where it goes elsewhere
  Output(PrintStream out, PrintStream err, IntSupplier columns) {
    this.out = out;
    this.err = err;
    this.columns = columns;
  }

  /// The program's own streams.
  static Output ofProcess() {
    return new Output(utf8(FileDescriptor.out), utf8(FileDescriptor.err), Output::terminalColumns);
  }

  private static PrintStream utf8(FileDescriptor file) {
    return new PrintStream(new FileOutputStream(file), true, StandardCharsets.UTF_8);
  }

  PrintStream out() {
    return out;
  }

  PrintStream err() {
    return err;
  }

  /// The width of the terminal that `err` goes to; 0 where it goes elsewhere.
  int columns() {
    return columns.getAsInt();
  }

  /// Asks the system's own tools: the JDK knows of a terminal only where input comes from one too.
  private static int terminalColumns() {
    if ("dumb".equals(System.getenv("TERM"))) {
      return 0;
    }
    try {
      Process process =
          new ProcessBuilder("sh", "-c", "test -t 2 && { stty size <&2 2>/dev/null || echo; }")
              .redirectError(Redirect.INHERIT)
              .start();
      process.getOutputStream().close();
      String size = new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      return process.waitFor() == 0 ? columnsOf(size.strip()) : 0;
    } catch (IOException _) {
      return 0; // a system without these tools
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }

  /// The second of `rows columns`.
  static int columnsOf(String size) {
    try {
      int columns = Integer.parseInt(size.substring(size.indexOf(' ') + 1));
      return columns > 0 ? columns : DEFAULT_COLUMNS;
    } catch (NumberFormatException _) {
      return DEFAULT_COLUMNS;
    }
  }
}
