package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Every operation against the reference backend, and against itself on other numbers of threads.
final class CpuBackendTest {
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
    List<String> expected = fingerprints(1);
    for (int threads : new int[] {2, 3, 8}) {
      assertEquals(expected, fingerprints(threads), threads + " threads");
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
