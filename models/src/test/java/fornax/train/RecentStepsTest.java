package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class RecentStepsTest {
  private static RecentSteps steps(int count) {
    var recent = new RecentSteps(List.of(), List.of());
    for (int i = 0; i < count; i++) {
      recent.add(i % 2 == 0 ? 1.9 : 2.1, i % 2 == 0 ? 0.9 : 1.1); // deviation 0.1
    }
    return recent;
  }

  @Test
  void whatStandsFarAboveIsASpike() {
    RecentSteps recent = steps(20);
    assertFalse(recent.isSpike(2.59, 1));
    assertTrue(recent.isSpike(2.61, 1));
    assertFalse(recent.isSpike(0.1, 9.9));
    assertTrue(recent.isSpike(2, 10.1));
    assertTrue(recent.isSpike(Double.NaN, 1));
    assertTrue(recent.isSpike(2, Double.POSITIVE_INFINITY));
    assertFalse(steps(19).isSpike(5, 1), "too early to say");
  }

  @Test
  void oneThatIsNotFiniteDoesNotHideTheNext() {
    RecentSteps recent = steps(40);
    recent.add(Double.NaN, Double.NaN);
    assertTrue(recent.isSpike(2.7, 1));
    assertFalse(recent.isSpike(2.1, 1));
  }

  @Test
  void theLastHundredCount() {
    RecentSteps recent = steps(99);
    for (int i = 0; i < 100; i++) {
      recent.add(i, 1);
    }
    assertEquals(100, recent.losses().size());
    assertEquals(0.0, recent.losses().getFirst());
    assertEquals(98, recent.meanLoss(3));
    assertEquals(49.5, recent.meanLoss(1000));
    var again = new RecentSteps(recent.losses(), recent.norms());
    assertEquals(recent.losses(), again.losses());
  }
}
