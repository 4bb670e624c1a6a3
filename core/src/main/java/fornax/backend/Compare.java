package fornax.backend;

/// Elementwise comparisons of two arguments of one type; the result is BOOL. NaN is unequal to
/// everything.
public enum Compare {
  EQUAL,
  NOT_EQUAL,
  LESS,
  LESS_EQUAL,
  GREATER,
  GREATER_EQUAL
}
