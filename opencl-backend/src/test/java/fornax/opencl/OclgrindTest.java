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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Runs kernels under Oclgrind, which finds data races, accesses outside buffers and reads of
/// memory that nobody wrote.
class OclgrindTest {
  private static final long MINUTES = 5;
  private static final Pattern FINDING =
      Pattern.compile(
          "(?i)data race|uninitialized|invalid (read|write)|divergence|error at|work-group limit");

  @TempDir Path directory = Path.of("set by JUnit");

  @BeforeEach
  void requireOclgrind() throws IOException {
    if (!isInstalled()) {
      String missing = "oclgrind is not on the PATH; apt install oclgrind";
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("opencl")) {
        fail(missing);
      }
      abort(missing);
    }
  }

  @Test
  void kernels_haveNoFinding() throws Exception {
    String output = run();
    assertTrue(output.contains(", failed 0"), output);
    assertFalse(FINDING.matcher(output).find(), output);
  }

  @Test
  void unwrittenMemory_isFound() throws Exception {
    String output = run("--unwritten");
    assertTrue(output.contains("Uninitialized value"), output);
  }

  private String run(String... arguments) throws IOException, InterruptedException {
    Path log = directory.resolve("log");
    List<String> command = new ArrayList<>(List.of("oclgrind", "--data-races", "--uninitialized"));
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
    command.addAll(List.of(arguments));
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
    return output;
  }

  private static boolean isInstalled() throws IOException {
    return Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator))
        .anyMatch(directory -> Files.isExecutable(Path.of(directory, "oclgrind")));
  }
}
