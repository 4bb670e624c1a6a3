package fornax.cpu;

/// Elementary functions of one float, written only from IEEE-exact operations (multiply, add, FMA,
/// divide, integer shifts), so that their bits never depend on the JIT tier.
///
/// Each function runs the same sequence of operations as its namesake in [VectorMath]: both give
/// the same bits for every input (NaN payloads aside). Error bounds are measured against
/// [StrictMath] by `VectorMathTest`.
@SuppressWarnings("FloatingPointLiteralPrecision") // coefficients stand as they were published
final class ScalarMath {
  static final float LOG2_E = 0x1.715476p+0f;

  /// ln 2 split in two (Cody and Waite): the high part is ln 2 rounded to float.
  static final float LN2_HIGH = 0x1.62e430p-1f;

  static final float LN2_LOW = -1.90465421e-9f;

  /// 1.5 · 2²³: adding it rounds a small float to an integer held in the low mantissa bits.
  static final float ROUNDER = 0x1.8p23f;

  static final int ROUNDER_BITS = 0x4B400000;

  /// Above this, `exp` is +∞ in float; below [#EXP_UNDERFLOW] it rounds to 0.
  static final float EXP_OVERFLOW = 0x1.62e42ep6f;

  static final float EXP_UNDERFLOW = -0x1.9fe368p6f;

  /// Below this, `eˣ` is no normal float.
  static final float EXP_NORMAL = -0x1.5d589ep6f;

  // Minimax coefficients of (eʳ − 1 − r) / r² on |r| ≤ ln 2 / 2; Cephes expf.
  static final float EXP_0 = 5.0000001201e-1f;
  static final float EXP_1 = 1.6666665459e-1f;
  static final float EXP_2 = 4.1665795894e-2f;
  static final float EXP_3 = 8.3334519073e-3f;
  static final float EXP_4 = 1.3981999507e-3f;
  static final float EXP_5 = 1.9875691500e-4f;

  // Minimax coefficients of (tanh x − x) / x³ in x² on |x| < 0.625; Cephes tanhf.
  static final float TANH_SPLIT = 0.625f;
  static final float TANH_0 = -3.33332819422e-1f;
  static final float TANH_1 = 1.33314422036e-1f;
  static final float TANH_2 = -5.37397155531e-2f;
  static final float TANH_3 = 2.06390887954e-2f;
  static final float TANH_4 = -5.70498872745e-3f;

  // Minimax coefficients of (log(1 + f) − f + f²/2) / f³ on √½ − 1 ≤ f < √2 − 1; Cephes logf.
  static final int SQRT_HALF_BITS = 0x3F3504F3;
  static final float LOG_0 = 3.3333331174e-1f;
  static final float LOG_1 = -2.4999993993e-1f;
  static final float LOG_2 = 2.0000714765e-1f;
  static final float LOG_3 = -1.6668057665e-1f;
  static final float LOG_4 = 1.4249322787e-1f;
  static final float LOG_5 = -1.2420140846e-1f;
  static final float LOG_6 = 1.1676998740e-1f;
  static final float LOG_7 = -1.1514610310e-1f;
  static final float LOG_8 = 7.0376836292e-2f;

  /// 2²³, which lifts a subnormal into the normal range before its exponent is read.
  static final float SUBNORMAL_SCALE = 0x1p23f;

  // erf: x + x·P(x²) up to 475/512, 1 − exp(Q(|x|)) beyond; coefficients of N. Juffa's erff.
  static final float ERF_SPLIT = 0.927734375f;
  static final float ERF_0 = 1.28379166e-1f;
  static final float ERF_1 = -3.76125336e-1f;
  static final float ERF_2 = 1.12819925e-1f;
  static final float ERF_3 = -2.67681349e-2f;
  static final float ERF_4 = 4.99119423e-3f;
  static final float ERF_5 = -5.96761703e-4f;
  static final float ERFC_1 = -1.28717512e-1f;
  static final float ERFC_2 = -6.34846687e-1f;
  static final float ERFC_3 = -1.06777877e-1f;
  static final float ERFC_4 = 2.42546219e-2f;
  static final float ERFC_5 = -3.88396438e-3f;
  static final float ERFC_6 = 3.83197126e-4f;
  static final float ERFC_7 = -1.72853470e-5f;

  /// 2·√(2/π), the factor of the tanh form of GELU written with a sigmoid; arXiv:1606.08415 §2.
  static final float TWO_SQRT_2_OVER_PI = 1.5957691216f;

  static final float GELU_CUBIC = 0.044715f;

  static final float SQRT_HALF = 0x1.6a09e6p-1f;

  private ScalarMath() {}

  /// `eˣ`, error at most 1 ulp (subnormal results: 1 unit of the smallest subnormal); −∞ gives 0.
  static float exp(float x) {
    if (x > EXP_OVERFLOW) {
      return Float.POSITIVE_INFINITY;
    }
    if (x < EXP_UNDERFLOW) {
      return 0f;
    }
    float rounded = Math.fma(x, LOG2_E, ROUNDER);
    int exponent = Float.floatToRawIntBits(rounded) - ROUNDER_BITS;
    float y = expOfRest(x, rounded - ROUNDER);
    // Two factors, because 2^128 and 2^−150 are no floats.
    int half = exponent >> 1;
    float first = Float.intBitsToFloat((half + 127) << 23);
    float second = Float.intBitsToFloat((exponent - half + 127) << 23);
    return y * first * second;
  }

  /// As [#exp], but 0 instead of subnormal results; for functions in which those make no
  /// difference. A quarter of the vector instructions fewer.
  static float expNormal(float x) {
    if (!(x <= EXP_OVERFLOW)) {
      return x * Float.POSITIVE_INFINITY; // NaN stays NaN
    }
    if (x < EXP_NORMAL) {
      return 0f;
    }
    float rounded = Math.fma(x, LOG2_E, ROUNDER);
    float y = expOfRest(x, rounded - ROUNDER);
    // The rounder's own bits are shifted out.
    return Float.intBitsToFloat(
        Float.floatToRawIntBits(y) + (Float.floatToRawIntBits(rounded) << 23));
  }

  // exp(x − n·ln 2), for |x − n·ln 2| ≤ ln 2 / 2. The polynomial is summed in a tree: what bounds
  // the vectors' speed is how long the chain of dependent operations is.
  private static float expOfRest(float x, float n) {
    float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, x));
    float square = r * r;
    float high = Math.fma(r, EXP_5, EXP_4);
    float middle = Math.fma(r, EXP_3, EXP_2);
    float low = Math.fma(r, EXP_1, EXP_0);
    float p = Math.fma(square, Math.fma(square, high, middle), low);
    return Math.fma(p, square, r) + 1f;
  }

  /// `tanh x`, error at most 2 ulp.
  static float tanh(float x) {
    float t = Math.abs(x);
    if (t >= TANH_SPLIT) {
      return Math.copySign(1f - 2f / (expNormal(t + t) + 1f), x);
    }
    float z = x * x;
    float p = Math.fma(z, TANH_4, TANH_3);
    p = Math.fma(p, z, TANH_2);
    p = Math.fma(p, z, TANH_1);
    p = Math.fma(p, z, TANH_0);
    return Math.fma(p * z, x, x);
  }

  /// Natural logarithm, error at most 1 ulp; 0 gives −∞, a negative number NaN.
  static float log(float x) {
    boolean subnormal = x < Float.MIN_NORMAL;
    float scaled = subnormal ? x * SUBNORMAL_SCALE : x;
    int bits = Float.floatToRawIntBits(scaled);
    int exponent = (bits - SQRT_HALF_BITS) >> 23;
    float f = Float.intBitsToFloat(bits - (exponent << 23)) - 1f;
    float e = Float.intBitsToFloat(exponent + ROUNDER_BITS) - ROUNDER;
    e = subnormal ? e - 23f : e;
    float z = f * f;
    float p = Math.fma(f, LOG_8, LOG_7);
    p = Math.fma(p, f, LOG_6);
    p = Math.fma(p, f, LOG_5);
    p = Math.fma(p, f, LOG_4);
    p = Math.fma(p, f, LOG_3);
    p = Math.fma(p, f, LOG_2);
    p = Math.fma(p, f, LOG_1);
    p = Math.fma(p, f, LOG_0);
    float y = Math.fma(e, LN2_LOW, p * (f * z));
    y = Math.fma(z, -0.5f, y);
    float result = Math.fma(e, LN2_HIGH, f + y);
    if (x == 0f) {
      return Float.NEGATIVE_INFINITY;
    }
    if (x < 0f) {
      return Float.NaN;
    }
    return x < Float.POSITIVE_INFINITY ? result : x;
  }

  /// `1 / (1 + e⁻ˣ)`, error at most 2 ulp where the result is above 2⁻¹²⁶.
  static float sigmoid(float x) {
    return 1f / (1f + expNormal(-x));
  }

  /// Error function, error at most 2 ulp.
  static float erf(float x) {
    float t = Math.abs(x);
    float s = x * x;
    if (t > ERF_SPLIT) {
      float r = Math.fma(t, ERFC_7, ERFC_6);
      float u = Math.fma(t, ERFC_5, ERFC_4);
      r = Math.fma(r, s, u);
      r = Math.fma(r, t, ERFC_3);
      r = Math.fma(r, t, ERFC_2);
      r = Math.fma(r, t, ERFC_1);
      // Beyond 4 erf rounds to 1, and Q leaves the range where it was fitted.
      float far = t > 4f ? Float.NEGATIVE_INFINITY : Math.fma(r, t, -t);
      return Math.copySign(1f - expNormal(far), x);
    }
    float p = Math.fma(s, ERF_5, ERF_4);
    p = Math.fma(p, s, ERF_3);
    p = Math.fma(p, s, ERF_2);
    p = Math.fma(p, s, ERF_1);
    p = Math.fma(p, s, ERF_0);
    return Math.fma(p, x, x);
  }

  /// GELU, tanh form: `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`, computed as `x · sigmoid(2u)`.
  static float geluTanh(float x) {
    return x / (1f + expNormal(geluExponent(x)));
  }

  /// `−2√(2/π)(x + 0.044715x³)`: GELU's tanh form is `x / (1 + exp(geluExponent(x)))`.
  static float geluExponent(float x) {
    return Math.fma(x * x, -GELU_CUBIC * TWO_SQRT_2_OVER_PI, -TWO_SQRT_2_OVER_PI) * x;
  }

  /// GELU, exact form: `½x(1 + erf(x/√2))`.
  static float geluErf(float x) {
    float half = 0.5f * x;
    return Math.fma(half, erf(x * SQRT_HALF), half);
  }
}
