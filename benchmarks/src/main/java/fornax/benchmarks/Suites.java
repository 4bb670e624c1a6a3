package fornax.benchmarks;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.backend.Settings;
import fornax.benchmarks.Roofline.Limits;
import fornax.cli.UserException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.NoBenchmarksException;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormat;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.util.Statistics;

/// Runs the JMH suites, each benchmark in a JVM of its own, and prints the table while they run.
/// Before and after each one it probes the machine's limits. A time is that of the fastest call.
final class Suites {
  private static final int PROBES = 10; // before and after each benchmark
  private static final int FIRST_PROBES = 20; // until the probes are compiled

  private final String device;
  private final boolean quick;
  private final PrintStream out;
  private final int threads = Settings.threads();
  private final List<Row> rows = new ArrayList<>();
  private double gigaflops; // the best so far

  /// @param device the id of an available device
  Suites(String device, boolean quick, PrintStream out) {
    this.device = device;
    this.quick = quick;
    this.out = out;
  }

  /// Runs what `regex` is found in.
  ///
  /// @throws UserException if that is nothing
  List<Row> run(String regex) {
    System.setProperty("jmh.ignoreLock", "true"); // several runs at once are the user's affair
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include("fornax\\.benchmarks\\..*(?:" + regex + ")")
            .param("device", device)
            .jvmArgsAppend(
                "-Dfornax.threads=" + threads, "-Dfornax.cpu.matmul=" + Settings.cpuMatmul().name())
            .shouldFailOnError(true);
    if (quick) {
      var _ =
          options
              .warmupIterations(3)
              .warmupTime(TimeValue.milliseconds(300))
              .measurementIterations(5)
              .measurementTime(TimeValue.milliseconds(200));
    }
    var report = new Report();
    try {
      Collection<RunResult> _ = new Runner(options.build(), report).run();
    } catch (NoBenchmarksException e) {
      throw new UserException("bench: no suite; got " + regex + "; need a part of a name", e);
    } catch (RunnerException e) {
      throw new UserException(
          "bench: " + e.getMessage() + (report.said.isEmpty() ? "" : ": " + report.said), e);
    }
    dispatch().ifPresent(out::println);
    return rows;
  }

  private boolean isCpu() {
    return device.equals("cpu");
  }

  private Limits probe(long workingSet, int times) {
    try (var roofline = new Roofline(threads, Clock.wall(), workingSet)) {
      Limits limits = roofline.probe();
      for (int i = 1; i < times; i++) {
        limits = limits.orBetter(roofline.probe());
      }
      gigaflops = Math.max(gigaflops, limits.gigaflops());
      return new Limits(gigaflops, limits.gigabytes());
    }
  }

  private void add(Row row) {
    rows.add(row);
    out.println(row);
  }

  /// What an operation costs beside its kernel, where that was measured.
  private Optional<String> dispatch() {
    double kernel = nanos("dispatch.kernel");
    double add = nanos("dispatch.add") - kernel;
    double recorded = nanos("dispatch.addWithGradient") - kernel;
    return Double.isNaN(add + recorded)
        ? Optional.empty()
        : Optional.of(
            "dispatch: an operation costs "
                + Row.time(add)
                + " beside its kernel, "
                + Row.time(recorded)
                + " where it is recorded");
  }

  private double nanos(String op) {
    return rows.stream()
        .filter(row -> row.op().equals(op))
        .mapToDouble(Row::nanos)
        .findFirst()
        .orElse(Double.NaN);
  }

  /// Writes `rows` to `file` as a JSON array.
  static void write(List<Row> rows, Path file) throws IOException {
    JsonMapper json = JsonMapper.builder().build();
    ArrayNode all = json.createArrayNode();
    for (Row row : rows) {
      ObjectNode node =
          all.addObject()
              .put("op", row.op())
              .put("size", row.size())
              .put("nanos", row.nanos())
              .put("medianNanos", row.medianNanos());
      if (row.work().bounded()) {
        var _ = node.put("gigaflops", row.gigaflops()).put("gigabytes", row.gigabytes());
      }
      if (!Double.isNaN(row.percentOfLimit())) {
        var _ = node.put("percentOfLimit", row.percentOfLimit());
      }
    }
    json.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), all);
  }

  /// JMH's progress, turned into rows.
  private final class Report implements OutputFormat {
    private final StringBuilder said = new StringBuilder();
    private @Nullable Limits limits;
    private Work work = Work.overhead();

    @Override
    public void startBenchmark(BenchmarkParams params) {
      said.setLength(0);
      work = work(params);
      limits = isCpu() ? probe(work.workingSet(), PROBES) : null;
    }

    private static Work work(BenchmarkParams params) {
      int dot = params.getBenchmark().lastIndexOf('.');
      return Subjects.benchmark(params.getBenchmark().substring(0, dot), params.getParam("size"))
          .work(params.getBenchmark().substring(dot + 1));
    }

    @Override
    public void endBenchmark(@Nullable BenchmarkResult result) {
      double limit =
          limits == null
              ? Double.NaN
              : limits.orBetter(probe(work.workingSet(), PROBES)).idealNanos(work);
      if (result != null) {
        Statistics times = result.getPrimaryResult().getStatistics();
        BenchmarkParams params = result.getParams();
        add(
            new Row(
                Row.opOf(params.getBenchmark()),
                params.getParam("size"),
                times.getMin(),
                times.getPercentile(50),
                work,
                limit));
      }
    }

    @Override
    public void println(String line) {
      said.append(line).append('\n');
    }

    @Override
    public void print(String text) {
      said.append(text);
    }

    @Override
    public void iteration(BenchmarkParams params, IterationParams iteration, int number) {}

    @Override
    public void iterationResult(
        BenchmarkParams params, IterationParams iteration, int number, IterationResult result) {}

    @Override
    public void startRun() {
      if (isCpu()) {
        Limits limits = probe(Long.MAX_VALUE, FIRST_PROBES);
        out.printf(
            Locale.ROOT,
            "limits with %d threads: %.0f GFLOP/s, %.1f GB/s beyond the caches%n",
            threads,
            limits.gigaflops(),
            limits.gigabytes());
      }
      out.println(Row.header());
    }

    @Override
    public void endRun(Collection<RunResult> results) {}

    @Override
    public void flush() {
      out.flush();
    }

    @Override
    public void close() {}

    @Override
    public void verbosePrintln(String line) {}

    @Override
    public void write(int b) {}

    @Override
    public void write(byte[] b) {}
  }
}
