package fornax.backend;

/// Elementwise functions of two arguments of one type. I32 takes ADD, SUBTRACT, MULTIPLY, MAXIMUM
/// and MINIMUM; BOOL takes MAXIMUM (or) and MINIMUM (and); floating types take all.
public enum Binary {
  ADD,
  SUBTRACT,
  MULTIPLY,
  DIVIDE,
  /// `aᵇ`
  POWER,
  /// the larger; NaN if either is NaN
  MAXIMUM,
  /// the smaller; NaN if either is NaN
  MINIMUM
}
