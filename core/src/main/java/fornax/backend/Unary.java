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
  SQRT(Reads.Y),
  /// `1 / √x`
  RSQRT(Reads.X_AND_Y),
  /// `1 / x`
  RECIPROCAL(Reads.Y),
  /// `eˣ`
  EXP(Reads.Y),
  /// the natural logarithm
  LOG,
  /// the hyperbolic tangent
  TANH(Reads.Y),
  /// `1 / (1 + e⁻ˣ)`
  SIGMOID(Reads.Y),
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
  COS;

  /// What the gradient of a function reads, so that nothing else need be kept for it.
  public enum Reads {
    X,
    Y,
    X_AND_Y
  }

  private final Reads gradientReads;

  Unary() {
    this(Reads.X);
  }

  Unary(Reads gradientReads) {
    this.gradientReads = gradientReads;
  }

  /// Which of `x` and `y = op(x)` [Backend#unaryGradient(Unary, NdArray, NdArray, NdArray,
  /// NdArray)] reads; the other may be any array of the shape.
  public Reads gradientReads() {
    return gradientReads;
  }
}
