package fornax.benchmarks;

import fornax.backend.Settings;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Measures hot paths, in this JVM or in one of their own. The order in which a JVM compiles and
/// inlines depends on what ran before and on the moment: the same kernel may be a quarter slower
/// for a whole process and not in the next.
final class PathMeter {
  private PathMeter() {}

  /// The part of the machine's limit that `path` reaches here.
  static double fraction(HotPath path, boolean quick) {
    FractionMeter meter = quick ? FractionMeter.quick() : FractionMeter.thorough();
    try (Subject subject = path.open()) {
      return meter.fraction(subject);
    }
  }

  /// The same in a JVM that is started for it, with this one's options.
  static double fractionInNewProcess(HotPath path, boolean quick) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.add("-Dfornax.threads=1");
    command.add("-Dfornax.cpu.matmul=" + Settings.cpuMatmul().name());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(PathMeter.class.getName(), path.name(), Boolean.toString(quick)));
    try {
      Process process = new ProcessBuilder(command).redirectError(Redirect.DISCARD).start();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int status = process.waitFor();
      if (status != 0) {
        throw new IllegalStateException("guard: " + path.name() + " ended with status " + status);
      }
      return Double.parseDouble(said.strip());
    } catch (IOException e) {
      throw new IllegalStateException("guard: cannot start " + command.getFirst(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("guard: interrupted", e);
    }
  }

  /// What [#fractionInNewProcess] starts: the name of a path, and whether to be quick.
  public static void main(String[] args) {
    HotPath path =
        HotPath.watched().stream().filter(p -> p.name().equals(args[0])).findFirst().orElseThrow();
    System.out.println(fraction(path, Boolean.parseBoolean(args[1])));
  }
}
