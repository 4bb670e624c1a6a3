package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class LimitProbeTest {
  /// Chain i starts at i + 1; one turn gives 0.999·(i + 1) + 0.999.
  @Test
  void multiplyAdd_computesItsChains() {
    assertEquals(78, LimitProbe.multiplyAdd(0));
    assertEquals(0.999 * 78 + 12 * 0.999, LimitProbe.multiplyAdd(1), 1e-4);
  }

  /// All chains go to the fixed point 0.999/(1 − 0.999), so none can overflow or become subnormal.
  @Test
  void multiplyAdd_staysInRange() {
    assertEquals(12 * 999.0, LimitProbe.multiplyAdd(30_000), 12);
  }

  @Test
  void pass_changesNothing() {
    float[] values = new float[64];
    for (int i = 0; i < values.length; i++) {
      values[i] = 1.5f * i;
    }
    try (var arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
      LimitProbe.pass(x);
      assertArrayEquals(values, x.toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  @Test
  void flops_areTwoForEachMultiplyAdd() {
    assertEquals(2L * LimitProbe.CHAINS * Simd.LANES * 10, LimitProbe.flops(10));
  }
}
