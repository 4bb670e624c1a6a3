package fornax.opencl;

/// How many groups of how many work-items a kernel is launched with.
record Grid(long x, long y, long z, int localX, int localY) {
  /// A work-item to each of `items`, in groups of `group`.
  static Grid items(long items, int group) {
    return new Grid(ceilDiv(items, group), 1, 1, group, 1);
  }

  /// Likewise, `rows` times.
  static Grid items(long items, long rows, int group) {
    return new Grid(ceilDiv(items, group), rows, 1, group, 1);
  }

  /// `groups` groups of `group` work-items.
  static Grid groups(long groups, int group) {
    return new Grid(groups, 1, 1, group, 1);
  }

  /// `x` by `y` groups of `group` work-items.
  static Grid groups(long x, long y, int group) {
    return new Grid(x, y, 1, group, 1);
  }

  boolean isEmpty() {
    return x == 0 || y == 0 || z == 0;
  }

  static long ceilDiv(long n, long divisor) {
    return (n + divisor - 1) / divisor;
  }

  @Override
  public String toString() {
    return x + " x " + y + " x " + z + " groups of " + localX + " x " + localY;
  }
}
