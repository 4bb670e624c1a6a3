package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.DeviceInfo;
import fornax.cli.BenchRunner;
import fornax.cli.UserException;
import fornax.nn.Precision;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.runner.BenchmarkList;

class SuitesTest {
  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  private BenchRunner.Setup setup(String device, PrintStream out) {
    return new BenchRunner.Setup(device, true, out, out);
  }

  private static BenchRunner runner() {
    return ServiceLoader.load(BenchRunner.class).findFirst().orElseThrow();
  }

  @Test
  void everyHotFamilyHasASuite() throws IOException {
    Set<String> suites = new TreeSet<>();
    try (var in = getClass().getResourceAsStream(BenchmarkList.BENCHMARK_LIST)) {
      assertNotNull(in);
      new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> line.startsWith("JMH "))
          .forEach(
              line ->
                  suites.add(line.replaceAll(".*fornax\\.benchmarks\\.(\\w+?)Benchmark .*", "$1")));
    }
    assertTrue(
        suites.containsAll(
            Set.of(
                "Matmul",
                "MatmulBf16",
                "Softmax",
                "LayerNorm",
                "Attention",
                "Gelu",
                "CrossEntropy",
                "AdamW",
                "Dispatch",
                "Tokenize",
                "TrainingStep",
                "Generation")),
        suites.toString());
  }

  @Test
  void suite_runsInAProcessOfItsOwn() throws IOException {
    try (var out = new PrintStream(said, true, StandardCharsets.UTF_8)) {
      assertEquals(0, runner().suites(setup("cpu", out), "DispatchBenchmark.kernel", null));
    }
    String text = said.toString(StandardCharsets.UTF_8);
    assertTrue(text.contains("limits with "), text);
    assertTrue(text.lines().anyMatch(line -> line.startsWith("dispatch.kernel ")), text);
  }

  @Test
  void requestsThatCannotBeMet_areRefused() {
    try (var out = new PrintStream(said, true, StandardCharsets.UTF_8)) {
      BenchRunner bench = runner();
      assertThrows(UserException.class, () -> bench.suites(setup("cpu", out), "Nothing", null));
      assertThrows(UserException.class, () -> bench.guard(setup("opencl", out), false));
      assertThrows(
          UserException.class, () -> bench.train(setup("cpu", out), "micro", Precision.F32, 1));
    }
  }

  @Test
  void softwareDevice_isRefused() {
    DeviceInfo software = DeviceInfo.available("cuda", "cuda:0", "software CUDA device, sm_90");
    assertThrows(UserException.class, () -> Benchmarks.requireHardware(software));
    Benchmarks.requireHardware(DeviceInfo.available("cuda", "cuda:0", "NVIDIA H100"));
  }
}
