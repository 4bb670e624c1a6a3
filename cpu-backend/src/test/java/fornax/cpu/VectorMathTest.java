package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class VectorMathTest {
  /// Steps through all 2³² bit patterns; prime, so that mantissas vary.
  private static final int STRIDE = 2_053;

  interface FloatFunction {
    float apply(float x);
  }

  record Case(
      String name,
      FloatFunction scalar,
      UnaryOperator<FloatVector> vector,
      DoubleUnaryOperator truth,
      double ulps) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("exp", ScalarMath::exp, VectorMath::exp, StrictMath::exp, 1.0),
        new Case(
            "expNormal",
            ScalarMath::expNormal,
            VectorMath::expNormal,
            x -> x < ScalarMath.EXP_NORMAL ? 0 : StrictMath.exp(x),
            1.0),
        new Case("tanh", ScalarMath::tanh, VectorMath::tanh, StrictMath::tanh, 2.0),
        new Case("log", ScalarMath::log, VectorMath::log, StrictMath::log, 1.0),
        new Case(
            "sigmoid",
            ScalarMath::sigmoid,
            VectorMath::sigmoid,
            x -> 1 / (1 + StrictMath.exp(-x)),
            2.0),
        new Case("erf", ScalarMath::erf, VectorMath::erf, VectorMathTest::erf, 2.0));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void isWithinItsUlpBound(Case c) {
    double worst = 0;
    float at = 0;
    for (long bits = Integer.MIN_VALUE; bits <= Integer.MAX_VALUE; bits += STRIDE) {
      float x = Float.intBitsToFloat((int) bits);
      double truth = c.truth.applyAsDouble(x);
      if (Double.isNaN(truth)) {
        assertTrue(Float.isNaN(c.scalar.apply(x)), c.name + "(" + x + ")");
        continue;
      }
      if (c.name.equals("sigmoid") && truth < Float.MIN_NORMAL) {
        assertTrue(c.scalar.apply(x) < Float.MIN_NORMAL, "sigmoid(" + x + ")");
        continue;
      }
      float y = c.scalar.apply(x);
      float rounded = (float) truth;
      if (y == rounded) {
        continue;
      }
      double error = Math.abs(y - truth) / Math.ulp(rounded);
      if (!(error <= worst)) {
        worst = error;
        at = x;
      }
    }
    assertTrue(worst <= c.ulps, c.name + ": " + worst + " ulp at " + at);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void vectorGivesTheScalarBits(Case c) {
    assertSameBits(c.name, c.scalar, c.vector);
  }

  @Test
  void geluGivesTheScalarBits() {
    assertSameBits("geluTanh", ScalarMath::geluTanh, VectorMath::geluTanh);
    assertSameBits("geluErf", ScalarMath::geluErf, VectorMath::geluErf);
  }

  private static void assertSameBits(
      String name, FloatFunction scalar, UnaryOperator<FloatVector> vector) {
    int lanes = VectorMath.SPECIES.length();
    float[] x = new float[lanes];
    float[] y = new float[lanes];
    for (long bits = Integer.MIN_VALUE; bits <= Integer.MAX_VALUE; ) {
      for (int i = 0; i < lanes; i++, bits += STRIDE) {
        x[i] = Float.intBitsToFloat((int) bits);
      }
      vector.apply(FloatVector.fromArray(VectorMath.SPECIES, x, 0)).intoArray(y, 0);
      for (int i = 0; i < lanes; i++) {
        float want = scalar.apply(x[i]);
        // Compares NaN as equal to NaN.
        if (Float.floatToIntBits(want) != Float.floatToIntBits(y[i])) {
          assertEquals(want, y[i], name + "(" + x[i] + ")");
        }
      }
    }
  }

  @Test
  void specialValues() {
    float inf = Float.POSITIVE_INFINITY;
    assertEquals(inf, ScalarMath.exp(inf));
    assertEquals(0f, ScalarMath.exp(-inf));
    assertEquals(1f, ScalarMath.exp(-0f));
    assertEquals(inf, ScalarMath.exp(88.73f));
    assertEquals(Float.MIN_VALUE, ScalarMath.exp(-103.5f));
    assertEquals(0f, ScalarMath.exp(-104f));
    assertEquals(Float.NaN, ScalarMath.exp(Float.NaN));
    assertEquals(inf, ScalarMath.expNormal(inf));
    assertEquals(inf, ScalarMath.expNormal(88.73f));
    assertEquals(0f, ScalarMath.expNormal(-inf));
    assertEquals(Float.NaN, ScalarMath.expNormal(Float.intBitsToFloat(0x7FC001FF)));
    assertEquals(Float.MIN_NORMAL, ScalarMath.expNormal(ScalarMath.EXP_NORMAL), 1e-43f);
    assertEquals(0f, ScalarMath.expNormal(Math.nextDown(ScalarMath.EXP_NORMAL)));
    assertEquals(1f, ScalarMath.tanh(inf));
    assertEquals(-1f, ScalarMath.tanh(-inf));
    assertEquals(Float.NaN, ScalarMath.tanh(Float.NaN));
    assertEquals(-inf, ScalarMath.log(0f));
    assertEquals(-inf, ScalarMath.log(-0f));
    assertEquals(Float.NaN, ScalarMath.log(-1f));
    assertEquals(Float.NaN, ScalarMath.log(-inf));
    assertEquals(inf, ScalarMath.log(inf));
    assertEquals(0f, ScalarMath.log(1f));
    assertEquals(Float.NaN, ScalarMath.log(Float.NaN));
    assertEquals(0f, ScalarMath.sigmoid(-inf));
    assertEquals(1f, ScalarMath.sigmoid(inf));
    assertEquals(-1f, ScalarMath.erf(-inf));
    assertEquals(1f, ScalarMath.erf(inf));
    assertEquals(Float.NaN, ScalarMath.erf(Float.NaN));
  }

  @Test
  void geluIsCloseToItsDefinition() {
    for (float x = -30f; x < 30f; x += 0.0037f) {
      double tanh =
          0.5 * x * (1 + StrictMath.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      double erf = 0.5 * x * (1 + erf(x / Math.sqrt(2)));
      assertEquals(tanh, ScalarMath.geluTanh(x), 3e-7 * Math.max(1, Math.abs(x)), "x " + x);
      assertEquals(erf, ScalarMath.geluErf(x), 3e-7 * Math.max(1, Math.abs(x)), "x " + x);
    }
  }

  @Test
  void bfloat16RoundsToNearestEven() {
    assertEquals((short) 0x3F80, DType.toBFloat16(1f));
    assertEquals((short) 0x3F80, DType.toBFloat16(Float.intBitsToFloat(0x3F808000)));
    assertEquals((short) 0x3F82, DType.toBFloat16(Float.intBitsToFloat(0x3F818000)));
    assertEquals((short) 0x3F81, DType.toBFloat16(Float.intBitsToFloat(0x3F808001)));
    assertEquals((short) 0x7F80, DType.toBFloat16(Float.MAX_VALUE));
    assertEquals((short) 0xFF80, DType.toBFloat16(Float.NEGATIVE_INFINITY));
    assertTrue(Float.isNaN(DType.fromBFloat16(DType.toBFloat16(Float.intBitsToFloat(0x7F800001)))));
    for (int bits = Short.MIN_VALUE; bits <= Short.MAX_VALUE; bits++) {
      float x = DType.fromBFloat16((short) bits);
      if (!Float.isNaN(x)) {
        assertEquals((short) bits, DType.toBFloat16(x));
      }
    }
  }

  /// erf in double: its Taylor series near 0, the continued fraction of erfc beyond 2.
  static double erf(double x) {
    double t = Math.abs(x);
    if (Double.isNaN(x) || t > 6) {
      return Double.isNaN(x) ? x : Math.signum(x);
    }
    if (t < 2) {
      double term = x;
      double sum = x;
      for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
        term *= -x * x / n;
        sum += term / (2 * n + 1);
      }
      return sum * 2 / Math.sqrt(Math.PI);
    }
    double fraction = t;
    for (int k = 60; k > 0; k--) {
      fraction = t + k / 2.0 / fraction;
    }
    return Math.signum(x) * (1 - StrictMath.exp(-x * x) / (fraction * Math.sqrt(Math.PI)));
  }
}
