package fornax.benchmarks;

/// Something ready to be timed.
interface Subject extends AutoCloseable {
  /// What one call of [#run()] has to do.
  Work work();

  void run();

  @Override
  void close();
}
