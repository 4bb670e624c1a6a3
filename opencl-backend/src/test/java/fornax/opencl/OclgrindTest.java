package fornax.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Runs kernels under Oclgrind, which finds data races and accesses outside buffers. Reads of
/// memory that nobody wrote are found by the poison in guarded buffers: see
/// [OpenClConformanceTest].
class OclgrindTest {
  private static final long MINUTES = 5;
  private static final Pattern FINDING =
      Pattern.compile("(?i)data race|invalid (read|write)|divergence|error at|work-group limit");

  @Test
  void kernels_haveNoFinding(@TempDir Path directory) throws Exception {
    if (!isInstalled()) {
      String missing = "oclgrind is not on the PATH; apt install oclgrind";
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("opencl")) {
        fail(missing);
      }
      abort(missing);
    }
    Path log = directory.resolve("log");
    List<String> command = new ArrayList<>(List.of("oclgrind", "--data-races"));
    // Its interpreter of optimised code does not know every instruction.
    command.addAll(List.of("--build-options", "-cl-opt-disable"));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx512m",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-Dfornax.cache=off",
            "-cp",
            System.getProperty(
                "surefire.test.class.path", System.getProperty("java.class.path", "")),
            OclgrindProgram.class.getName()));
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    boolean ended = process.waitFor(MINUTES, TimeUnit.MINUTES);
    if (!ended) {
      process.destroyForcibly();
    }
    String output = Files.readString(log);
    assertTrue(ended, () -> "not done after " + MINUTES + " minutes:\n" + output);
    assertEquals(0, process.exitValue(), output);
    assertTrue(output.contains("Oclgrind"), output);
    assertTrue(output.contains(", failed 0"), output);
    assertFalse(FINDING.matcher(output).find(), output);
  }

  private static boolean isInstalled() throws IOException {
    return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(directory -> Files.isExecutable(Path.of(directory, "oclgrind")));
  }
}
