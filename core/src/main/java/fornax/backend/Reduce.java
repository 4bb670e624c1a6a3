package fornax.backend;

/// Reductions over axes.
public enum Reduce {
  /// the sum; 0 of nothing
  SUM,
  /// the largest; −∞ of nothing, NaN if any is NaN
  MAX,
  /// the smallest; +∞ of nothing, NaN if any is NaN
  MIN
}
