package fornax.backend;

/// Asks a device's system for memory; [Memory] pools what it gives.
@FunctionalInterface
public interface BlockSource {
  /// A block of at least `bytes` bytes, aligned to 64.
  ///
  /// @throws OutOfMemoryError if the system has no more: the pool empties its cache, tries again,
  ///   then reports
  Block allocate(long bytes);
}
