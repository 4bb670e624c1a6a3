package fornax.cli;

/// What the program's exit codes mean.
final class ExitCode {
  private ExitCode() {}

  /// It did what it was asked.
  static final int OK = 0;

  /// A check did not pass, or the program itself is at fault.
  static final int FAILED = 1;

  /// What was asked for cannot be done; the line on standard error says why.
  static final int BAD_INPUT = 2;

  /// Stopped by Ctrl-C: 128 and the number of SIGINT, as shells count. The JVM sets it.
  static final int INTERRUPTED = 130;
}
