package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.models.Devices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the process as a whole holds, which no account of ours can hide.
class ResidentMemoryTest {
  private static final int CYCLES = 1000;
  private static final long MOST_GROWTH_KIBIBYTES = 1024;

  @Tag("slow")
  @Test
  void trainingCycles_keepNoMemory(@TempDir Path folder) throws Exception {
    assumeTrue(Files.isReadable(Path.of("/proc/self/status")), "needs Linux's /proc");
    requireFlat(run(folder.resolve("output"), "cpu", Integer.toString(CYCLES)));
  }

  /// On one device kept open: drivers keep a little of each context, and compile for each anew.
  @Tag("slow")
  @Test
  void openClCycles_keepNoMemory(@TempDir Path folder) throws Exception {
    assumeTrue(Files.isReadable(Path.of("/proc/self/status")), "needs Linux's /proc");
    Devices.requireOpenCl();
    requireFlat(run(folder.resolve("output"), "opencl", Integer.toString(CYCLES), "kept"));
  }

  private static void requireFlat(List<Long> resident) {
    assertEquals(2, resident.size());
    long growth = resident.get(1) - resident.get(0);
    assertTrue(growth < MOST_GROWTH_KIBIBYTES, "grew by " + growth + " KiB from " + resident);
  }

  private static List<Long> run(Path output, String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--add-modules=jdk.incubator.vector");
    command.add("--enable-native-access=ALL-UNNAMED");
    // A heap of a fixed size that is touched from the start, and only the quick compiler, for the
    // memory of the optimising one comes and goes by megabytes: what grows would be ours.
    command.add("-XX:TieredStopAtLevel=1");
    command.addAll(List.of("-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(TrainingCycles.class.getName());
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(output.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertTrue(process.waitFor(5, TimeUnit.MINUTES), "still running");
    assertEquals(0, process.exitValue());
    return Files.readAllLines(output).stream().map(Long::valueOf).toList();
  }
}
