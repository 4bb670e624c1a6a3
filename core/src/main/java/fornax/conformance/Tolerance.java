package fornax.conformance;

import fornax.array.DType;

/// How far a result may be from the truth.
///
/// The error of an array is `max|ours − truth| / max(1, max|truth|)` over its finite elements; an
/// infinity must meet the same infinity and NaN must meet NaN.
public final class Tolerance {
  private static final double F32 = 1e-5;
  private static final double F64 = 1e-12;

  // One rounding to nearest even of a type with 8 bits of precision, relative to the value.
  private static final double BF16 = 0x1p-8;
  private static final double F16 = 0x1p-11; // likewise of 11 bits

  private static final double REDUCTION = 128;

  private Tolerance() {}

  /// The largest error allowed where each element of the result sums up to `reduction` products:
  /// `1e-5·max(1, √(reduction / 128))` in F32, with 1e-12 in F64. In BF16 the F32 bound plus 2⁻⁸
  /// for each of the `roundings` to BF16 between the inputs and the result; in F16 2⁻¹¹. 0 for I32
  /// and BOOL.
  public static double bound(DType dtype, long reduction, int roundings) {
    double growth = Math.max(1, Math.sqrt(reduction / REDUCTION));
    return switch (dtype) {
      case F32 -> F32 * growth;
      case F64 -> F64 * growth;
      case BF16 -> F32 * growth + BF16 * roundings;
      case F16 -> F32 * growth + F16 * roundings;
      case I32, BOOL -> 0;
    };
  }

  /// The error of `actual`, infinite where an infinity or NaN does not meet its like, or the
  /// lengths differ.
  public static double error(double[] actual, double[] truth) {
    if (actual.length != truth.length) {
      return Double.POSITIVE_INFINITY;
    }
    double worst = 0;
    double largest = 1;
    for (int i = 0; i < truth.length; i++) {
      if (Double.isFinite(truth[i])) {
        largest = Math.max(largest, Math.abs(truth[i]));
        worst = Math.max(worst, Math.abs(actual[i] - truth[i])); // NaN or infinite if actual is
      } else if (Double.compare(actual[i], truth[i]) != 0) {
        return Double.POSITIVE_INFINITY;
      }
    }
    return Double.isNaN(worst) ? Double.POSITIVE_INFINITY : worst / largest;
  }

  /// The index of the element with the largest error, or −1 where all are equal.
  static int worst(double[] actual, double[] truth) {
    int worst = -1;
    double largest = 0;
    for (int i = 0; i < Math.min(actual.length, truth.length); i++) {
      if (Double.compare(actual[i], truth[i]) != 0) {
        double error = Math.abs(actual[i] - truth[i]);
        if (worst < 0 || Double.isNaN(error) || error > largest) {
          worst = i;
          largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
        }
      }
    }
    return worst;
  }
}
