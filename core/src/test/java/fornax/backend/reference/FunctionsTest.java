package fornax.backend.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import fornax.array.DType;
import fornax.backend.Unary;
import org.junit.jupiter.api.Test;

class FunctionsTest {
  // Abramowitz & Stegun, table 7.1, and Wolfram's values where it ends.
  @Test
  void erf_isAccurate() {
    double[][] known = {
      {0.1, 0.1124629160182849},
      {0.5, 0.5204998778130465},
      {1, 0.8427007929497149},
      {1.5, 0.9661051464753108},
      {2, 0.9953222650189527},
      {2.5, 0.9995930479825550},
      {3, 0.9999779095030014},
      {4, 0.9999999845827421},
    };
    for (double[] pair : known) {
      assertEquals(pair[1], Functions.erf(pair[0]), 4e-16);
      assertEquals(-pair[1], Functions.erf(-pair[0]), 4e-16);
    }
    assertEquals(2 / Math.sqrt(Math.PI) * 1e-20, Functions.erf(1e-20), 1e-35);
    assertEquals(0, Functions.erf(0));
    assertEquals(1, Functions.erf(7));
    assertEquals(-1, Functions.erf(Double.NEGATIVE_INFINITY));
    assertEquals(Double.NaN, Functions.erf(Double.NaN));
  }

  @Test
  void erf_isContinuousWhereTheFormulasMeet() {
    assertEquals(Functions.erf(2), Functions.erf(Math.nextUp(2.0)), 4e-16);
    assertEquals(Functions.erf(Math.nextDown(6.0)), Functions.erf(6), 1e-16);
  }

  @Test
  void unary_definesTheEdges() {
    assertEquals(0.0, apply(Unary.SIGN, -0.0));
    assertEquals(-1.0, apply(Unary.SIGN, -3));
    assertEquals(Double.NaN, apply(Unary.SIGN, Double.NaN));
    assertEquals(Double.NaN, apply(Unary.RELU, Double.NaN));
    assertEquals(1e4, apply(Unary.SOFTPLUS, 1e4));
    assertEquals(0.0, apply(Unary.SOFTPLUS, -1e4));
    assertEquals(0.0, apply(Unary.SIGMOID, -1e4));
    assertEquals(1.0, apply(Unary.SIGMOID, 1e4));
    assertEquals(1e4, apply(Unary.GELU_TANH, 1e4));
    assertEquals(1e4, apply(Unary.GELU_ERF, 1e4));
    // Python's math.tanh and math.erf in the same formulas.
    assertEquals(0.8411919906082768, apply(Unary.GELU_TANH, 1), 1e-15);
    assertEquals(0.8413447460685429, apply(Unary.GELU_ERF, 1), 1e-15);
  }

  private static double apply(Unary op, double x) {
    return Functions.of(op, DType.F64).applyAsDouble(x);
  }
}
