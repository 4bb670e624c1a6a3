package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The guard with real measurements: a kernel that is made 30 % slower is caught, and the same
/// kernel unchanged is not.
class PlantedRegressionTest {
  private static final HotPath PATH = new HotPath(MatmulBenchmark.class, "forward", "128x128x128");

  private final FractionMeter meter = new FractionMeter(15, 4_000_000, 40_000_000);
  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  @BeforeEach
  void oneThread() {
    System.setProperty("fornax.threads", "1");
  }

  @AfterEach
  void allThreads() {
    System.clearProperty("fornax.threads");
  }

  /// `kernel`, after each call of which more processor time passes: `part` of the call's own.
  private static Subject slowed(Subject kernel, double part) {
    Clock clock = Clock.ownProcessor();
    return new Subject() {
      @Override
      public Work work() {
        return kernel.work();
      }

      @Override
      public void run() {
        long start = clock.nanos();
        kernel.run();
        long now = clock.nanos();
        long end = now + (long) (part * (now - start));
        while (now < end) {
          now = clock.nanos();
        }
      }

      @Override
      public void close() {
        kernel.close();
      }
    };
  }

  @Test
  void isCaught() {
    try (Subject kernel = PATH.open();
        PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8)) {
      // Warm, and with the wrapper's own cost, so that both sides differ in the 30 % alone.
      Subject same = slowed(kernel, 0);
      double _ = meter.fraction(same);
      double fraction = meter.fraction(same);
      Map<String, Double> baseline = Map.of("same", fraction, "slower", fraction);
      SequencedMap<String, Subject> paths = new LinkedHashMap<>();
      paths.put("same", same);
      paths.put("slower", slowed(kernel, 0.3));
      var guard = new Guard<>(paths, meter::fraction, meter::fraction, out);
      assertEquals(1, Benchmarks.check(guard, baseline, out));
    }
    String text = said.toString(StandardCharsets.UTF_8);
    assertTrue(text.contains("regression: slower is "), text);
    assertTrue(!text.contains("regression: same "), text);
  }
}
