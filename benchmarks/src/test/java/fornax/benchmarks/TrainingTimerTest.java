package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backends;
import fornax.benchmarks.TrainingStep.Times;
import fornax.nn.Precision;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TrainingTimerTest {
  private static Times millis(double forward, double backward, double update) {
    return new Times((long) (forward * 1e6), (long) (backward * 1e6), (long) (update * 1e6));
  }

  @Test
  void line_isWhatComparisonsRead() {
    List<Times> steps = List.of(millis(10, 20, 2), millis(8, 16, 1), millis(40, 30, 10));
    Locale before = Locale.getDefault();
    try {
      Locale.setDefault(Locale.GERMANY); // whose decimal comma would be wrong
      assertEquals(
          "tok/s best 30720 median 24000 ms/step 32.0 (fwd 10.0 bwd 20.0 opt 2.0)",
          TrainingTimer.line(768, steps, steps));
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void line_takesTheMeanOfTheMiddleTwo() {
    List<Times> steps = List.of(millis(10, 0, 0), millis(20, 0, 0));
    assertTrue(TrainingTimer.line(1500, steps, steps).contains("median 100000 ms/step 15.0 "));
  }

  @Test
  void warmUp_goesOnWhileStepsGetFaster() {
    int[] calls = {0};
    long best = TrainingTimer.warmUp(() -> millis(Math.max(1000 - 20 * calls[0]++, 500), 0, 0));
    assertEquals(500_000_000, best);
    assertTrue(calls[0] > 25, calls[0] + " steps");
  }

  @Test
  void warmUp_endsThoughStepsGetFasterForEver() {
    double[] millis = {20_000};
    long best = TrainingTimer.warmUp(() -> millis(millis[0] *= 0.9, 0, 0));
    assertTrue(best > 1_000_000_000, best + " ns");
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void line_timesSteps(Precision precision) {
    try (var backend = Backends.open("cpu").backend();
        var training = new TrainingStep(backend, TrainingShape.parse("1x2x16x8x2x13"), precision)) {
      double first = 0;
      for (int i = 0; i < 20; i++) {
        assertTrue(training.run(i % 2 == 0).total() > 0);
        first = i == 0 ? training.loss() : first;
      }
      assertEquals(Math.log(13), first, 0.1);
      long live = backend.memory().stats().live();
      assertTrue(training.run(false).updateNanos() > 0);
      assertEquals(live, backend.memory().stats().live());
    }
  }
}
