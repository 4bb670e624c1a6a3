package fornax.array;

/// NumPy's broadcasting: shapes are aligned at their last axes, and a size of 1 stretches to the
/// other's size. Source: numpy.org/doc/stable/user/basics.broadcasting.html.
public final class Broadcast {
  private Broadcast() {}

  /// The common shape of `a` and `b`, for the operation `op`.
  ///
  /// @throws ShapeException naming both shapes and the first pair of sizes that differ
  public static Shape shapes(String op, Shape a, Shape b) {
    if (a.equals(b)) {
      return a;
    }
    int rank = Math.max(a.rank(), b.rank());
    long[] dims = new long[rank];
    for (int back = 1; back <= rank; back++) {
      long m = back <= a.rank() ? a.dim(-back) : 1;
      long n = back <= b.rank() ? b.dim(-back) : 1;
      if (m != n && m != 1 && n != 1) {
        throw new ShapeException(
            op
                + ": shapes do not broadcast; got a "
                + a
                + " and b "
                + b
                + "; need equal sizes or 1 at axis -"
                + back
                + " ("
                + m
                + " ≠ "
                + n
                + ")"
                + hint(a, b));
      }
      dims[rank - back] = m == 1 ? n : m;
    }
    return Shape.of(dims);
  }

  private static String hint(Shape a, Shape b) {
    if (a.rank() == 2 && b.rank() == 2 && a.dim(0) == b.dim(1) && a.dim(1) == b.dim(0)) {
      return "; did you mean b.transpose()?";
    }
    if (b.rank() == 1 && a.rank() == 2 && a.dim(0) == b.dim(0)) {
      return "; did you mean b.reshape(" + b.dim(0) + ", 1)?";
    }
    return "";
  }
}
