package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backend;
import fornax.models.Devices;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The same seed gives the same bits: on any number of threads, in another process, with another
/// heap and another collector; and on other devices nearly the same losses.
class DeterminismTest {
  private static final int STEPS = 30;
  private static final double DEVICES_DIFFER = 5e-6; // in the loss, relative, after STEPS steps

  private static String here(int threads) throws IOException {
    @Nullable String before = System.getProperty("fornax.threads");
    System.setProperty("fornax.threads", Integer.toString(threads));
    try {
      return Fingerprint.of("cpu", STEPS);
    } finally {
      if (before == null) {
        System.clearProperty("fornax.threads");
      } else {
        System.setProperty("fornax.threads", before);
      }
    }
  }

  private static String elsewhere(String... options) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--add-modules=jdk.incubator.vector"));
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED"));
    command.addAll(Arrays.asList(options));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(Fingerprint.class.getName(), "cpu", Integer.toString(STEPS)));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said.strip();
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 8})
  void threads_changeNoBit(int threads) throws IOException {
    assertEquals(here(1), here(threads));
  }

  @Test
  void anotherProcess_changesNoBit() throws Exception {
    assertEquals(here(2), elsewhere("-XX:+UseSerialGC", "-Xmx96m", "-Dfornax.threads=3"));
  }

  @ParameterizedTest
  @Tag("slow")
  @CsvSource({
    "-XX:+UseSerialGC, -Xmx48m",
    "-XX:+UseSerialGC, -Xmx2g",
    "-XX:+UseParallelGC, -Xmx96m",
    "-XX:+UseParallelGC, -Xmx2g",
    "-XX:+UseG1GC, -Xmx96m",
    "-XX:+UseG1GC, -Xmx2g",
    "-XX:+UseZGC, -Xmx128m",
    "-XX:+UseZGC, -Xmx2g"
  })
  void heapsAndCollectors_changeNoBit(String collector, String heap) throws Exception {
    String expected = here(1);
    for (int threads : new int[] {1, 2, 3, 8}) {
      assertEquals(expected, elsewhere(collector, heap, "-Dfornax.threads=" + threads));
    }
  }

  @Test
  void referenceDevice_differsByRounding() throws IOException {
    assertClose("reference", 6);
  }

  @Test
  @Tag("slow")
  void openCl_differsByRounding() throws IOException {
    Devices.requireOpenCl();
    assertClose("opencl", STEPS);
  }

  private static void assertClose(String device, int steps) throws IOException {
    double[] cpu = losses("cpu", steps);
    double[] other = losses(device, steps);
    for (int i = 0; i < cpu.length; i++) {
      double difference = Math.abs(cpu[i] - other[i]) / Math.abs(cpu[i]);
      int step = i + 1;
      assertTrue(difference < DEVICES_DIFFER, () -> "step " + step + ": " + difference);
    }
  }

  private static double[] losses(String device, int steps) throws IOException {
    try (Backend backend = Devices.open(device);
        var training = new SmallTraining(backend, steps, 0)) {
      return training.run();
    }
  }

  /// Ten thousand steps on one device: not a byte more is held after the last than after the
  /// twentieth.
  @Test
  @Tag("slow")
  void tenThousandSteps_holdTheSameBytes() throws IOException {
    try (Backend backend = Devices.open("cpu");
        var training = new SmallTraining(backend, 10_000, 0)) {
      long[] live = new long[10_001];
      long[] system = new long[10_001];
      var recorder =
          new TrainerTest.Recorder() {
            @Override
            public void stepped(StepReport report) {
              live[report.step()] = backend.memory().stats().live();
              system[report.step()] = backend.memory().stats().system();
            }

            @Override
            public void evaluated(int step, Evaluation validation) {
              assertEquals(10_000, step);
            }
          };
      Trainer.Result result = training.trainer.run(recorder, () -> false);
      assertEquals(10_000, result.steps());
      for (int step = 20; step < 10_000; step++) {
        assertEquals(live[20], live[step], "live bytes, step " + step);
        assertEquals(system[20], system[step], "the system's bytes, step " + step);
      }
    }
  }
}
