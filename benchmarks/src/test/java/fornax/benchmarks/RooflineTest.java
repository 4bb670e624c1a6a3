package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.benchmarks.Roofline.Limits;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class RooflineTest {
  @Test
  void ideal_isTheSlowerOfBoth() {
    Work work = Work.products(1000, 600);
    assertEquals(10, new Limits(100, 100).idealNanos(work));
    assertEquals(60, new Limits(100, 10).idealNanos(work));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void probe_findsLimits(int threads) {
    try (var roofline = new Roofline(threads, Clock.wall(), 1 << 20)) {
      Limits limits = roofline.probe();
      assertTrue(limits.gigaflops() > 0.01 && limits.gigaflops() < 1e5, limits.toString());
      assertTrue(limits.gigabytes() > 0.01 && limits.gigabytes() < 1e5, limits.toString());
    }
  }

  @Test
  void orBetter_takesEachOfItsOwn() {
    assertEquals(new Limits(3, 4), new Limits(3, 1).orBetter(new Limits(2, 4)));
  }

  static List<HotPath> paths() {
    return HotPath.ALL;
  }

  /// Each hot path runs as the guard runs it, and says what work it is.
  @ParameterizedTest
  @MethodSource("paths")
  void hotPath_runs(HotPath path) {
    try (Subject subject = path.open()) {
      Work work = subject.work();
      assertTrue(work.flops() + work.bytes() > 0, path.name());
      subject.run();
    }
  }
}
