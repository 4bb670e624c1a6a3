package fornax.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import fornax.array.DType;
import org.junit.jupiter.api.Test;

class ToleranceTest {
  private static final double INF = Double.POSITIVE_INFINITY;
  private static final double NAN = Double.NaN;

  private static double[] of(double... values) {
    return values;
  }

  @Test
  void error_isRelativeToTheLargestTruthAbove1() {
    assertEquals(0, Tolerance.error(of(), of()));
    assertEquals(0.25, Tolerance.error(of(0.5, 0.25), of(0.25, 0.25)));
    assertEquals(1, Tolerance.error(of(100, 1), of(50, 1)));
    assertEquals(0.125, Tolerance.error(of(-8, 0), of(-8, 1)));
  }

  @Test
  void error_takesInfinitiesAndNaNOnlyForTheirLike() {
    assertEquals(0, Tolerance.error(of(INF, -INF, NAN, 1), of(INF, -INF, NAN, 1)));
    assertEquals(INF, Tolerance.error(of(INF), of(-INF)));
    assertEquals(INF, Tolerance.error(of(1e30), of(INF)));
    assertEquals(INF, Tolerance.error(of(INF), of(1)));
    assertEquals(INF, Tolerance.error(of(NAN, 1), of(1, 1)));
    assertEquals(INF, Tolerance.error(of(1, 1), of(1, NAN)));
    assertEquals(INF, Tolerance.error(of(1), of(1, 1)));
  }

  @Test
  void bound_growsWithTheReduction() {
    assertEquals(1e-5, Tolerance.bound(DType.F32, 1, 1));
    assertEquals(1e-5, Tolerance.bound(DType.F32, 128, 1));
    assertEquals(2e-5, Tolerance.bound(DType.F32, 512, 1));
    assertEquals(1e-12, Tolerance.bound(DType.F64, 7, 1));
    assertEquals(1e-5 + 3 * 0x1p-8, Tolerance.bound(DType.BF16, 7, 3));
    assertEquals(0, Tolerance.bound(DType.I32, 7, 1));
    assertEquals(0, Tolerance.bound(DType.BOOL, 7, 1));
  }

  @Test
  void worst_findsTheElement() {
    assertEquals(-1, Tolerance.worst(of(1, NAN), of(1, NAN)));
    assertEquals(1, Tolerance.worst(of(1, 3, 2), of(1, 2, 2.5)));
    assertEquals(2, Tolerance.worst(of(1, 3, NAN), of(1, 2, 2.5)));
  }
}
