package fornax.cpu;

import static fornax.cpu.ScalarMath.*;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/// Elementary functions of float vectors, bit for bit those of [ScalarMath].
///
/// The Vector API's own `lanewise(EXP)`, `TANH`, `LOG` and `POW` are not used: their bits change
/// when the optimising compiler takes over.
final class VectorMath {
  static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  private static final int SIGN_BIT = 0x80000000;

  private VectorMath() {}

  private static FloatVector constant(float x) {
    return FloatVector.broadcast(SPECIES, x);
  }

  /// See [ScalarMath#exp].
  static FloatVector exp(FloatVector x) {
    FloatVector rounded = x.fma(constant(LOG2_E), constant(ROUNDER));
    IntVector exponent = rounded.reinterpretAsInts().sub(ROUNDER_BITS);
    FloatVector y = expOfRest(x, rounded.sub(ROUNDER));
    IntVector half = exponent.lanewise(VectorOperators.ASHR, 1);
    FloatVector first = powerOfTwo(half);
    FloatVector second = powerOfTwo(exponent.sub(half));
    return y.mul(first)
        .mul(second)
        .blend(0f, x.compare(VectorOperators.LT, EXP_UNDERFLOW))
        .blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, EXP_OVERFLOW));
  }

  /// See [ScalarMath#expNormal].
  static FloatVector expNormal(FloatVector x) {
    FloatVector rounded = x.fma(constant(LOG2_E), constant(ROUNDER));
    IntVector scale = rounded.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    FloatVector y =
        expOfRest(x, rounded.sub(ROUNDER)).reinterpretAsInts().add(scale).reinterpretAsFloats();
    return x.mul(Float.POSITIVE_INFINITY)
        .blend(y, x.compare(VectorOperators.LE, EXP_OVERFLOW))
        .blend(0f, x.compare(VectorOperators.LT, EXP_NORMAL));
  }

  private static FloatVector expOfRest(FloatVector x, FloatVector n) {
    FloatVector r = n.fma(constant(-LN2_LOW), n.fma(constant(-LN2_HIGH), x));
    FloatVector square = r.mul(r);
    FloatVector high = r.fma(constant(EXP_5), constant(EXP_4));
    FloatVector middle = r.fma(constant(EXP_3), constant(EXP_2));
    FloatVector low = r.fma(constant(EXP_1), constant(EXP_0));
    return square.fma(square.fma(high, middle), low).fma(square, r).add(1f);
  }

  private static FloatVector powerOfTwo(IntVector exponent) {
    return exponent.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
  }

  /// See [ScalarMath#tanh].
  static FloatVector tanh(FloatVector x) {
    FloatVector t = x.abs();
    return tanh(x, expNormal(t.add(t)));
  }

  // Functions of an exponential come in parts too, for loops of their own: see VectorLoop.

  /// The hyperbolic tangent of `x`, given `e = exp(2|x|)`.
  static FloatVector tanh(FloatVector x, FloatVector e) {
    FloatVector far = copySign(constant(1f).sub(constant(2f).div(e.add(1f))), x);
    FloatVector z = x.mul(x);
    FloatVector near =
        z.fma(constant(TANH_4), constant(TANH_3))
            .fma(z, constant(TANH_2))
            .fma(z, constant(TANH_1))
            .fma(z, constant(TANH_0))
            .mul(z)
            .fma(x, x);
    return near.blend(far, x.abs().compare(VectorOperators.GE, TANH_SPLIT));
  }

  /// See [ScalarMath#log].
  static FloatVector log(FloatVector x) {
    VectorMask<Float> subnormal = x.compare(VectorOperators.LT, Float.MIN_NORMAL);
    FloatVector scaled = x.blend(x.mul(SUBNORMAL_SCALE), subnormal);
    IntVector bits = scaled.reinterpretAsInts();
    IntVector exponent = bits.sub(SQRT_HALF_BITS).lanewise(VectorOperators.ASHR, 23);
    FloatVector f =
        bits.sub(exponent.lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats().sub(1f);
    FloatVector e = exponent.add(ROUNDER_BITS).reinterpretAsFloats().sub(ROUNDER);
    e = e.blend(e.sub(23f), subnormal);
    FloatVector z = f.mul(f);
    FloatVector y = e.fma(constant(LN2_LOW), logPolynomial(f).mul(f.mul(z)));
    y = z.fma(constant(-0.5f), y);
    FloatVector result = e.fma(constant(LN2_HIGH), f.add(y));
    // The comparison is false for +∞ and NaN, which are their own logarithms.
    return x.blend(result, x.compare(VectorOperators.LT, Float.POSITIVE_INFINITY))
        .blend(Float.NaN, x.compare(VectorOperators.LT, 0f))
        .blend(Float.NEGATIVE_INFINITY, x.compare(VectorOperators.EQ, 0f));
  }

  private static FloatVector logPolynomial(FloatVector f) {
    return f.fma(constant(LOG_8), constant(LOG_7))
        .fma(f, constant(LOG_6))
        .fma(f, constant(LOG_5))
        .fma(f, constant(LOG_4))
        .fma(f, constant(LOG_3))
        .fma(f, constant(LOG_2))
        .fma(f, constant(LOG_1))
        .fma(f, constant(LOG_0));
  }

  /// See [ScalarMath#sigmoid].
  static FloatVector sigmoid(FloatVector x) {
    return constant(1f).div(expNormal(x.neg()).add(1f));
  }

  /// See [ScalarMath#erf].
  static FloatVector erf(FloatVector x) {
    return erf(x, expNormal(erfExponent(x)));
  }

  /// What [#erf(FloatVector, FloatVector)] needs the exponential of.
  static FloatVector erfExponent(FloatVector x) {
    FloatVector t = x.abs();
    FloatVector s = x.mul(x);
    FloatVector u = t.fma(constant(ERFC_5), constant(ERFC_4));
    return t.fma(constant(ERFC_7), constant(ERFC_6))
        .fma(s, u)
        .fma(t, constant(ERFC_3))
        .fma(t, constant(ERFC_2))
        .fma(t, constant(ERFC_1))
        .fma(t, t.neg())
        .blend(Float.NEGATIVE_INFINITY, t.compare(VectorOperators.GT, 4f));
  }

  /// The error function of `x`, given `e = exp(erfExponent(x))`.
  static FloatVector erf(FloatVector x, FloatVector e) {
    FloatVector far = copySign(constant(1f).sub(e), x);
    return erfNear(x, x.mul(x)).blend(far, x.abs().compare(VectorOperators.GT, ERF_SPLIT));
  }

  private static FloatVector erfNear(FloatVector x, FloatVector s) {
    return s.fma(constant(ERF_5), constant(ERF_4))
        .fma(s, constant(ERF_3))
        .fma(s, constant(ERF_2))
        .fma(s, constant(ERF_1))
        .fma(s, constant(ERF_0))
        .fma(x, x);
  }

  private static FloatVector copySign(FloatVector magnitude, FloatVector sign) {
    return sign.reinterpretAsInts()
        .and(SIGN_BIT)
        .or(magnitude.reinterpretAsInts())
        .reinterpretAsFloats();
  }

  /// See [ScalarMath#geluTanh].
  static FloatVector geluTanh(FloatVector x) {
    return x.div(expNormal(geluExponent(x)).add(1f));
  }

  /// See [ScalarMath#geluExponent].
  static FloatVector geluExponent(FloatVector x) {
    return x.mul(x)
        .fma(constant(-GELU_CUBIC * TWO_SQRT_2_OVER_PI), constant(-TWO_SQRT_2_OVER_PI))
        .mul(x);
  }

  /// See [ScalarMath#geluErf].
  static FloatVector geluErf(FloatVector x) {
    FloatVector half = x.mul(0.5f);
    return half.fma(erf(x.mul(SQRT_HALF)), half);
  }
}
