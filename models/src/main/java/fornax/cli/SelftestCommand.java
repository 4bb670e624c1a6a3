package fornax.cli;

import fornax.conformance.CaseResult;
import fornax.conformance.CaseResult.Status;
import fornax.conformance.Golden;
import fornax.conformance.SelfTest;
import fornax.io.SafeTensors;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "selftest",
    description = {
      "Checks a device: every operation, forward and backward, against the reference, and against"
          + " numbers that PyTorch computed, a whole small GPT among them.",
      "",
      "Exits with 1 if an error is out of tolerance."
    },
    footer = {
      "",
      "Examples:",
      "  fornax selftest --device cpu",
      "  fornax selftest --device cuda:1 --json"
    })
final class SelftestCommand extends Command {
  private static final List<String> FILES =
      List.of("ops_golden.safetensors", "tiny_gpt2.safetensors", "tiny_gpt2_golden.safetensors");

  private final Output output;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 1,
      description = "auto, or a device that fornax devices lists. Default: auto.")
  String device = "auto";

  @Option(
      names = "--golden",
      paramLabel = "DIR",
      order = 2,
      description =
          "A folder with ops_golden.safetensors, tiny_gpt2.safetensors and"
              + " tiny_gpt2_golden.safetensors. Default: those that come with Fornax.")
  @Nullable Path golden;

  @Option(
      names = "--threads",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Threads.class,
      description = "Threads of the CPU device. Default: one for each processor.")
  @Nullable Integer threads;

  @Option(
      names = "--json",
      order = 4,
      description =
          "Print one line of JSON on standard output; everything else goes to standard error.")
  boolean json;

  SelftestCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    Golden numbers = golden == null ? Golden.builtIn() : readable(golden);
    try (var opened = OpenDevice.open(device, threads, output.err())) {
      return report(opened.id(), SelfTest.run(opened.backend(), numbers));
    }
  }

  /// Finds a file that is missing or corrupt before the device is tested, which takes a while.
  private static Golden readable(Path folder) throws IOException {
    Golden numbers = Golden.in(folder);
    for (String name : FILES) {
      try (var file = SafeTensors.open(folder.resolve(name))) {
        var _ = file.names();
      }
    }
    return numbers;
  }

  /// Prints the results of the device `id`; returns the exit code.
  int report(String id, List<CaseResult> results) {
    boolean passed = count(results, Status.FAILED) == 0;
    printTable(json ? output.err() : output.out(), results);
    if (json) {
      printJson(id, passed, results);
    }
    return passed ? ExitCode.OK : ExitCode.FAILED;
  }

  private static long count(List<CaseResult> results, Status status) {
    return results.stream().filter(result -> result.status() == status).count();
  }

  private static void printTable(PrintStream to, List<CaseResult> results) {
    int width = results.stream().mapToInt(result -> result.op().length()).max().orElse(0);
    width = Math.max(width, 2);
    String row = "%-" + width + "s  %-5s  %9s  %9s  %s%n";
    to.printf(row, "OP", "DTYPE", "ERROR", "TOLERANCE", "");
    for (CaseResult result : results) {
      to.printf(
          row,
          result.op(),
          result.dtype(),
          figure(result.maxError()),
          figure(result.tolerance()),
          (result.status().name().toLowerCase(Locale.ROOT) + "  " + result.note()).strip());
    }
    to.printf(
        "%d passed, %d failed, %d skipped%n",
        count(results, Status.PASSED),
        count(results, Status.FAILED),
        count(results, Status.SKIPPED));
    to.flush();
  }

  private static String figure(double value) {
    return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.1e", value);
  }

  private void printJson(String id, boolean passed, List<CaseResult> results) {
    JsonLine.print(
        output.out(),
        line -> {
          line.writeStartObject();
          line.writeStringField("device", id);
          line.writeBooleanField("passed", passed);
          line.writeArrayFieldStart("cases");
          for (CaseResult result : results) {
            line.writeStartObject();
            line.writeStringField("op", result.op());
            line.writeStringField("dtype", result.dtype());
            JsonLine.number(line, "maxError", result.maxError());
            JsonLine.number(line, "tolerance", result.tolerance());
            if (result.status() == Status.SKIPPED) {
              line.writeNullField("passed");
              line.writeStringField("skipped", result.note());
            } else {
              line.writeBooleanField("passed", result.passed());
            }
            line.writeEndObject();
          }
          line.writeEndArray();
          line.writeEndObject();
        });
  }
}
