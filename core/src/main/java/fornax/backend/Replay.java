package fornax.backend;

/// Work that was recorded once and can be run again on whatever its buffers hold then.
public interface Replay extends AutoCloseable {
  /// Enqueues the work.
  void run();

  /// Gives back the memory that the work reserved.
  @Override
  void close();
}
