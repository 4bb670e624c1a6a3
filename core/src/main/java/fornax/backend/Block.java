package fornax.backend;

import org.jspecify.annotations.Nullable;

/// A piece of memory as the system gave it. A backend has its own subclass, which holds the segment
/// or device pointer.
public abstract class Block {
  private final long bytes;

  /// Where the block goes when it is free; null: to the device's cache.
  Memory.@Nullable Reservation reservation;

  protected Block(long bytes) {
    this.bytes = bytes;
  }

  /// The size of the block.
  public final long bytes() {
    return bytes;
  }

  /// Sets `length` bytes from `start` to `value`: guard words and poison, only where
  /// [Settings#guardMemory()].
  protected abstract void fill(long start, long length, byte value);

  /// Whether the `length` bytes from `start` all are `value`.
  protected abstract boolean isFilled(long start, long length, byte value);

  /// Gives the block back to the system.
  protected abstract void free();
}
