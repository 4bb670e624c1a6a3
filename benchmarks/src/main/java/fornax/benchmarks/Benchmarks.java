package fornax.benchmarks;

import fornax.backend.Backends;
import fornax.backend.DeviceInfo;
import fornax.cli.BenchRunner;
import fornax.cli.UserException;
import fornax.nn.Precision;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// What `fornax bench` runs.
public final class Benchmarks implements BenchRunner {
  private static final String SOFTWARE_CUDA = "software CUDA"; // in that device's name
  private static final String THREADS = "fornax.threads"; // read by Settings
  private static final int ACCEPTED_RUNS = 3; // the medians of which are a baseline

  /// For the service loader.
  public Benchmarks() {}

  @Override
  public int train(Setup setup, String shape, Precision precision, @Nullable Integer steps) {
    TrainingShape parsed = TrainingShape.parse(shape);
    Backends.Opened opened = open(setup);
    try (var backend = opened.backend()) {
      setup.out().println(TrainingTimer.line(backend, parsed, precision, steps));
    }
    return 0;
  }

  @Override
  public int suites(Setup setup, String regex, @Nullable Path json) throws IOException {
    Backends.Opened opened = open(setup);
    opened.backend().close(); // each suite opens it in a process of its own
    List<Row> rows = new Suites(opened.device().id(), setup.quick(), setup.out()).run(regex);
    if (json != null) {
      Suites.write(rows, json);
    }
    return 0;
  }

  /// Also of a device for tests, in small sizes and marked as such: so that what a card will be
  /// asked can be tried.
  @Override
  public int report(Setup setup, Path file) throws IOException {
    Backends.Opened opened = Backends.open(setup.device());
    opened.backend().close(); // each part opens it in its own way
    setup.err().println(opened.reason());
    DeviceReport.write(opened.device(), file, setup.err());
    setup.out().println("bench: written to " + file);
    return 0;
  }

  @Override
  public int guard(Setup setup, boolean accept) throws IOException {
    if (!setup.device().equals("auto") && !setup.device().equals("cpu")) {
      throw new UserException(
          "bench: the guard watches the CPU alone; got --device " + setup.device() + "; need cpu");
    }
    String machine = Machine.key();
    Baseline baseline = Baseline.read(Baseline.file());
    setup.err().println("machine: " + machine);
    SequencedMap<String, HotPath> paths = new LinkedHashMap<>();
    HotPath.watched().forEach(path -> paths.put(path.name(), path));
    var guard =
        new Guard<>(
            paths,
            path -> PathMeter.fraction(path, setup.quick()),
            path -> PathMeter.fractionInNewProcess(path, setup.quick()),
            setup.out());
    String threads = System.setProperty(THREADS, "1");
    try {
      return accept
          ? accept(guard, baseline, machine, setup.out())
          : check(guard, baseline.of(machine), setup.out());
    } finally {
      if (threads == null) {
        System.clearProperty(THREADS);
      } else {
        System.setProperty(THREADS, threads);
      }
    }
  }

  private static int accept(
      Guard<HotPath> guard, Baseline baseline, String machine, PrintStream out) throws IOException {
    Map<String, Double> before = baseline.of(machine);
    SequencedMap<String, Double> now = guard.baseline(ACCEPTED_RUNS);
    baseline.accept(machine, now);
    now.forEach(
        (path, fraction) ->
            out.printf(
                Locale.ROOT,
                "%-36s  %.4g -> %.4g%n",
                path,
                before.getOrDefault(path, Double.NaN),
                fraction));
    return 0;
  }

  static int check(Guard<?> guard, Map<String, Double> baseline, PrintStream out) {
    List<Guard.Regression> regressions = guard.check(baseline);
    if (baseline.isEmpty()) {
      out.println("guard: no baseline for this machine, so nothing is compared; see --accept");
      return 0;
    }
    regressions.forEach(out::println);
    if (regressions.isEmpty()) {
      out.printf(
          Locale.ROOT, "guard: nothing is more than %.0f %% slower%n", 100 * Guard.TOLERANCE);
      return 0;
    }
    return 1;
  }

  /// Opens the device and says which one it is.
  private static Backends.Opened open(Setup setup) {
    Backends.Opened opened = Backends.open(setup.device());
    try {
      requireHardware(opened.device());
    } catch (UserException e) {
      opened.backend().close();
      throw e;
    }
    setup.err().println(opened.reason());
    return opened;
  }

  /// @throws UserException if `device` only pretends to be one: its speed says nothing
  static void requireHardware(DeviceInfo device) {
    if (device.name().contains(SOFTWARE_CUDA)) {
      throw new UserException(
          "bench: not a device to measure; got "
              + device.id()
              + ", "
              + device.name()
              + "; need real hardware, or --device cpu");
    }
  }
}
