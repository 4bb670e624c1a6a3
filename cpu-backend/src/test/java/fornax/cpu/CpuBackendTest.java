package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Every operation against the reference backend, and against itself on other numbers of threads.
final class CpuBackendTest {
  // with two threads
  private static final Supplier<List<String>> EXPECTED =
      new Supplier<>() {
        private @Nullable List<String> lines;

        @Override
        public synchronized List<String> get() {
          if (lines == null) {
            lines = fingerprints(2);
          }
          return lines;
        }
      };

  private static final double FLOAT_TOLERANCE = 1e-5;
  private static final double BFLOAT16_TOLERANCE = 0x1p-6;

  @Test
  void everyOperation_agreesWithTheReference() {
    List<String> wrong = new ArrayList<>();
    try (Backend cpu = new CpuBackend(2);
        Backend reference = new ReferenceBackend()) {
      for (Cases one : Cases.all()) {
        try (Trial expected = new Trial(reference, one.name().hashCode());
            Trial actual = new Trial(cpu, one.name().hashCode())) {
          one.run().accept(expected);
          one.run().accept(actual);
          double error = error(expected.results(), actual.results());
          double tolerance =
              expected.isCoarse()
                  ? BFLOAT16_TOLERANCE
                  : FLOAT_TOLERANCE * Math.max(1, Math.sqrt(one.reduced() / 128));
          if (!(error <= tolerance)) {
            wrong.add(one.name() + ": error " + error);
          }
        } catch (RuntimeException | AssertionError e) {
          throw new AssertionError(one.name(), e);
        }
      }
      assertEquals(0, cpu.memory().stats().live(), "bytes left");
    }
    assertTrue(wrong.isEmpty(), wrong.size() + ": " + wrong);
  }

  // The largest difference, relative to the largest number; infinite where NaN or ∞ differ.
  private static double error(float[] expected, float[] actual) {
    double largest = 1;
    double difference = 0;
    for (int i = 0; i < expected.length; i++) {
      float e = expected[i];
      float a = actual[i];
      if (Float.isFinite(e) && Float.isFinite(a)) {
        largest = Math.max(largest, Math.abs(e));
        difference = Math.max(difference, Math.abs((double) e - a));
      } else if (Float.compare(e, a) != 0) {
        return Double.POSITIVE_INFINITY;
      }
    }
    return difference / largest;
  }

  @Test
  void everyOperation_hasTheSameBitsOnAnyNumberOfThreads() {
    for (int threads : new int[] {1, 3, 8}) {
      assertEquals(EXPECTED.get(), fingerprints(threads), threads + " threads");
    }
  }

  /// The bits of all results, one line for each case.
  static List<String> fingerprints(int threads) {
    List<String> lines = new ArrayList<>();
    try (Backend cpu = new CpuBackend(threads)) {
      for (Cases one : Cases.all()) {
        try (Trial trial = new Trial(cpu, one.name().hashCode())) {
          one.run().accept(trial);
          float[] results = trial.results();
          lines.add(one.name() + " " + Arrays.hashCode(results));
        }
      }
    }
    return lines;
  }

  @ParameterizedTest
  @CsvSource({
    "-Dfornax.vector=false, 1",
    "-XX:TieredStopAtLevel=1, 1",
    "-XX:MaxVectorSize=16, 4",
    "-XX:MaxVectorSize=32, 8"
  })
  void everyOperation_hasTheSameBitsWhateverTheVectors(String option, int lanes) throws Exception {
    assumeTrue(Simd.AVAILABLE && Simd.LANES >= lanes, "no wider vectors here");
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            option,
            "-cp",
            System.getProperty("java.class.path"),
            Fingerprints.class.getName());
    Process other =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    List<String> lines;
    try (BufferedReader output = other.inputReader(StandardCharsets.UTF_8)) {
      lines = output.lines().toList();
    }
    assertEquals(0, other.waitFor());
    assertEquals(lanes, Integer.parseInt(lines.getFirst()));
    List<String> differing = new ArrayList<>(lines.subList(1, lines.size()));
    differing.removeAll(new HashSet<>(EXPECTED.get()));
    assertEquals(List.of(), differing);
  }

  @Test
  void indices_outsideTheAxis_areNamed() {
    try (Backend cpu = new CpuBackend(2);
        Trial t = new Trial(cpu, 1)) {
      var error =
          assertThrows(
              IndexOutOfBoundsException.class,
              () -> cpu.embedding(t.in(5, 3), t.of(DType.I32, 4, 1, 5), t.out(3, 3)));
      assertEquals(
          "embedding: index outside the axis; got 5 at place 2; need 0 <= index < 5",
          error.getMessage());
    }
  }
}
