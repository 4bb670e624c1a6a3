package fornax.tensor;

/// How a loss over many rows or elements becomes a number.
public enum Reduction {
  /// the mean over those that count
  MEAN,
  /// the sum
  SUM,
  /// not at all: one loss each
  NONE
}
