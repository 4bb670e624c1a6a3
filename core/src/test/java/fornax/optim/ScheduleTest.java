package fornax.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class ScheduleTest {
  private static final double EXACT = 1e-18;

  @Test
  void constant_isTheSameAlways() {
    assertEquals(0.1, Schedule.constant(0.1).rate(0));
    assertEquals(0.1, Schedule.constant(0.1).rate(1_000_000));
  }

  @Test
  void cosine_isNanoGptsCurve() {
    double rate = 1e-3;
    Schedule schedule = Schedule.cosine(rate, 0.1 * rate, 100, 2000);
    for (int step = 0; step < 2000; step++) {
      double expected =
          step < 100
              ? rate * (step + 1) / 100
              : 0.1 * rate + 0.45 * rate * (1 + Math.cos(Math.PI * (step - 100) / 1900));
      assertEquals(expected, schedule.rate(step), EXACT, "step " + step);
    }
    assertEquals(0.1 * rate, schedule.rate(2000));
    assertEquals(0.1 * rate, schedule.rate(9999));
  }

  @Test
  void linear_risesAndFalls() {
    Schedule schedule = Schedule.linear(1, 0.5, 4, 14);
    assertEquals(0.25, schedule.rate(0), EXACT);
    assertEquals(1, schedule.rate(3), EXACT);
    assertEquals(1, schedule.rate(4), EXACT);
    assertEquals(0.75, schedule.rate(9), EXACT);
    assertEquals(0.5, schedule.rate(14), EXACT);
    assertEquals(0.5, schedule.rate(15), EXACT);
  }

  @Test
  void warmupStableDecay_keepsThePeakBetween() {
    Schedule schedule = Schedule.warmupStableDecay(1, 0, 2, 4, 10);
    double[] expected = {0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0};
    for (int step = 0; step < expected.length; step++) {
      assertEquals(expected[step], schedule.rate(step), EXACT, "step " + step);
    }
  }

  @Test
  void schedules_withoutWarmupOrDecay() {
    assertEquals(1, Schedule.cosine(1, 0, 0, 10).rate(0));
    assertEquals(1, Schedule.cosine(1, 0, 10, 10).rate(9));
    assertEquals(0, Schedule.cosine(1, 0, 10, 10).rate(10));
    assertEquals(1, Schedule.warmupStableDecay(1, 0, 0, 0, 10).rate(9));
    assertEquals(0, Schedule.linear(1, 0, 0, 0).rate(0));
  }

  @Test
  void schedules_rejectWhatMakesNoSense() {
    assertThrows(IllegalArgumentException.class, () -> Schedule.constant(-1));
    assertThrows(IllegalArgumentException.class, () -> Schedule.constant(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> Schedule.cosine(1, 2, 0, 10));
    assertThrows(IllegalArgumentException.class, () -> Schedule.linear(1, 0, 11, 10));
    assertThrows(IllegalArgumentException.class, () -> Schedule.linear(1, 0, -1, 10));
    assertThrows(IllegalArgumentException.class, () -> Schedule.warmupStableDecay(1, 0, 5, 6, 10));
  }
}
