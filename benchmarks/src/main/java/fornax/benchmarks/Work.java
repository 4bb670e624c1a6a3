package fornax.benchmarks;

/// What one call of a benchmark has to do at least: the operations, and the bytes that must move
/// between memory and core if each array is touched once.
///
/// @param flops floating-point operations; for functions those of the CPU backend's own formulas
/// @param bytes read and written
/// @param workingSet bytes of all arrays, which decides the cache they come from
/// @param unit that its speed is told in
record Work(double flops, double bytes, long workingSet, Unit unit) {
  /// What to count.
  enum Unit {
    /// floating-point operations
    FLOPS,
    /// bytes
    BYTES,
    /// neither: no limit of the machine says anything
    NONE
  }

  /// Of e^x: range reduction, a polynomial of degree 6, scaling; two to a multiply-add.
  static final double EXP = 20;

  /// A word of Philox: a quarter of ten rounds of eight.
  static final double WORD = 20;

  /// Of GELU in the tanh form: a cubic, an exponential, and a division, which costs about as much.
  static final double GELU = 2.5 * EXP;

  private static final double OVERHEAD_FLOPS = 1_000;

  /// Products: bound by arithmetic, or by the `moved` bytes.
  static Work products(double flops, double moved) {
    return new Work(flops, moved, (long) moved, Unit.FLOPS);
  }

  /// Bound by memory; every byte is touched once.
  static Work bytes(double bytes) {
    return new Work(0, bytes, (long) bytes, Unit.BYTES);
  }

  /// The same with arithmetic.
  Work andFlops(double count) {
    return new Work(count, bytes, workingSet, unit);
  }

  /// `count` times the same.
  Work times(int count) {
    return new Work(count * flops, count * bytes, workingSet, unit);
  }

  /// No limit applies: bookkeeping, text. Such work is put in relation to the time of a thousand
  /// operations at the machine's peak, which makes machines comparable but is no goal.
  static Work overhead() {
    return new Work(OVERHEAD_FLOPS, 0, 0, Unit.NONE);
  }

  /// Whether the machine's limits say anything.
  boolean bounded() {
    return unit != Unit.NONE;
  }
}
