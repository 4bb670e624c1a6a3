package fornax.benchmarks;

import java.util.Locale;

/// One line of the table: what an operation took, how fast that is, and how near to the machine's
/// limit.
///
/// @param op such as `matmul.forward`
/// @param nanos a single operation's time: that of the fastest call, which rate and limit are of
/// @param medianNanos that of the median call, from which one sees how quiet the machine was
/// @param limitNanos the least time the machine's limits allow; NaN where they say nothing
record Row(String op, String size, double nanos, double medianNanos, Work work, double limitNanos) {
  private static final String SUITE = "Benchmark";
  private static final String LINE = "%-26s  %-15s  %8s  %8s  %14s  %6s";

  /// What the suite and method of `benchmark`, a qualified name, are called in tables.
  static String opOf(String benchmark) {
    String[] parts = benchmark.split("\\.");
    String suite = parts[parts.length - 2].replaceFirst(SUITE + "$", "");
    return Character.toLowerCase(suite.charAt(0))
        + suite.substring(1)
        + "."
        + parts[parts.length - 1];
  }

  static String header() {
    return String.format(Locale.ROOT, LINE, "OP", "SIZE", "BEST", "MEDIAN", "RATE", "LIMIT")
        .stripTrailing();
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT, LINE, op, size, time(nanos), time(medianNanos), rate(), percent());
  }

  /// Percent of the limit; NaN where there is none.
  double percentOfLimit() {
    return work.bounded() ? 100 * limitNanos / nanos : Double.NaN;
  }

  private String percent() {
    double percent = percentOfLimit();
    return Double.isNaN(percent) ? "-" : String.format(Locale.ROOT, "%.0f %%", percent);
  }

  private String rate() {
    return switch (work.unit()) {
      case FLOPS -> String.format(Locale.ROOT, "%.1f GFLOP/s", gigaflops());
      case BYTES -> String.format(Locale.ROOT, "%.1f GB/s", gigabytes());
      case NONE -> "-";
    };
  }

  double gigaflops() {
    return work.flops() / nanos;
  }

  double gigabytes() {
    return work.bytes() / nanos;
  }

  /// Four digits and a unit.
  static String time(double nanos) {
    String[] units = {"ns", "µs", "ms", "s"};
    double value = nanos;
    int unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
      value /= 1000;
      unit++;
    }
    String format = value < 9.995 ? "%.2f %s" : value < 99.95 ? "%.1f %s" : "%.0f %s";
    return String.format(Locale.ROOT, format, value, units[unit]);
  }
}
