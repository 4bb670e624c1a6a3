package fornax.backend;

/// Elementwise functions of one argument. Floating types only, but for NEGATE, ABS and SIGN, which
/// also take I32.
public enum Unary {
  /// `−x`
  NEGATE,
  /// `|x|`
  ABS,
  /// −1, 0 or 1; 0 for ±0, NaN for NaN
  SIGN,
  /// `x²`
  SQUARE,
  /// `√x`
  SQRT,
  /// `1 / √x`
  RSQRT,
  /// `1 / x`
  RECIPROCAL,
  /// `eˣ`
  EXP,
  /// the natural logarithm
  LOG,
  /// the hyperbolic tangent
  TANH,
  /// `1 / (1 + e⁻ˣ)`
  SIGMOID,
  /// `log(1 + eˣ)`, computed as `max(x, 0) + log(1 + e^−|x|)`
  SOFTPLUS,
  /// `max(x, 0)`; NaN for NaN
  RELU,
  /// `x·sigmoid(x)`. Source: arXiv:1606.08415 §4, arXiv:1702.03118
  SILU,
  /// `½x(1 + tanh(√(2/π)(x + 0.044715x³)))`. Source: arXiv:1606.08415 §2
  GELU_TANH,
  /// `½x(1 + erf(x/√2))`. Source: arXiv:1606.08415 §2
  GELU_ERF,
  /// the error function
  ERF,
  /// the sine
  SIN,
  /// the cosine
  COS
}
