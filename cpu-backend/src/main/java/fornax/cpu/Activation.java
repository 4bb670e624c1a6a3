package fornax.cpu;

/// What a matmul applies to each result before storing it.
enum Activation {
  NONE,
  RELU,
  GELU_TANH,
  GELU_ERF;

  /// The function itself, with the bits of the vector kernels.
  float apply(float x) {
    return switch (this) {
      case NONE -> x;
      // Math.max passes NaN on.
      case RELU -> Math.max(x, 0f);
      case GELU_TANH -> ScalarMath.geluTanh(x);
      case GELU_ERF -> ScalarMath.geluErf(x);
    };
  }
}
