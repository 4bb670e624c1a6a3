package fornax.benchmarks;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/// Compares what hot paths reach of the machine's limits with what they reached once. What looks
/// slow is measured again after all others by a second meter, and its best counts: a disturbance
/// passes, a regression stays.
final class Guard<P> {
  /// Slower by more than this is a regression.
  static final double TOLERANCE = 0.20;

  private static final int REPEATS = 4;
  private static final String LINE = "%-36s  %8s  %8s  %8s  %s";

  private final SequencedMap<String, P> paths;
  private final ToDoubleFunction<P> meter;
  private final ToDoubleFunction<P> again;
  private final PrintStream out;

  /// @param paths by name
  /// @param meter measures the fraction of the limit that a path reaches
  /// @param again the same for what looks slow, and for a baseline
  Guard(
      SequencedMap<String, P> paths,
      ToDoubleFunction<P> meter,
      ToDoubleFunction<P> again,
      PrintStream out) {
    this.paths = paths;
    this.meter = meter;
    this.again = again;
    this.out = out;
  }

  /// A path that got slower.
  record Regression(String path, double fraction, double baseline) {
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "regression: %s is %.0f %% slower: %s of the limit, once %s",
          path,
          100 * slowdown(fraction, baseline),
          percent(fraction),
          percent(baseline));
    }
  }

  /// By what part of its former time a path takes longer now; negative where it is faster.
  static double slowdown(double fraction, double baseline) {
    return baseline / fraction - 1;
  }

  /// Measures all paths and prints them beside `baseline`, which may lack some or all.
  List<Regression> check(Map<String, Double> baseline) {
    SequencedMap<String, Double> fractions = measure(meter);
    for (int i = 0; i < REPEATS; i++) {
      for (Regression suspect : regressions(fractions, baseline)) {
        fractions.merge(suspect.path(), again.applyAsDouble(path(suspect.path())), Math::max);
      }
    }
    out.println(String.format(Locale.ROOT, LINE, "PATH", "LIMIT", "ONCE", "TIME", "").strip());
    fractions.forEach((name, fraction) -> out.println(line(name, fraction, baseline.get(name))));
    return regressions(fractions, baseline);
  }

  /// Measures all paths `times` times, all of them each time round; the median of each counts.
  SequencedMap<String, Double> baseline(int times) {
    SequencedMap<String, List<Double>> all = new LinkedHashMap<>();
    for (int i = 0; i < times; i++) {
      measure(again).forEach((name, f) -> all.computeIfAbsent(name, _ -> new ArrayList<>()).add(f));
    }
    SequencedMap<String, Double> medians = new LinkedHashMap<>();
    all.forEach(
        (name, fractions) ->
            medians.put(name, fractions.stream().sorted().toList().get(fractions.size() / 2)));
    return medians;
  }

  private SequencedMap<String, Double> measure(ToDoubleFunction<P> meter) {
    SequencedMap<String, Double> fractions = new LinkedHashMap<>();
    paths.forEach((name, path) -> fractions.put(name, meter.applyAsDouble(path)));
    return fractions;
  }

  private P path(String name) {
    P path = paths.get(name);
    if (path == null) {
      throw new IllegalStateException("guard: no path " + name);
    }
    return path;
  }

  private static List<Regression> regressions(
      Map<String, Double> fractions, Map<String, Double> baseline) {
    List<Regression> found = new ArrayList<>();
    fractions.forEach(
        (name, fraction) -> {
          Double once = baseline.get(name);
          if (once != null && slowdown(fraction, once) > TOLERANCE) {
            found.add(new Regression(name, fraction, once));
          }
        });
    return found;
  }

  private static String line(String name, double fraction, @Nullable Double baseline) {
    String now = percent(fraction);
    if (baseline == null) {
      return String.format(Locale.ROOT, LINE, name, now, "-", "-", "no baseline").stripTrailing();
    }
    double slowdown = slowdown(fraction, baseline);
    String verdict = slowdown > TOLERANCE ? "SLOWER" : slowdown < -TOLERANCE ? "faster" : "";
    String change = String.format(Locale.ROOT, "%+.0f %%", 100 * slowdown);
    return String.format(Locale.ROOT, LINE, name, now, percent(baseline), change, verdict)
        .stripTrailing();
  }

  private static String percent(double fraction) {
    return String.format(Locale.ROOT, fraction < 0.01 ? "%.2g %%" : "%.1f %%", 100 * fraction);
  }
}
