package fornax.backend;

import java.lang.foreign.MemorySegment;

/// A copy from a device to the host that may still be under way.
@FunctionalInterface
public interface Readback {
  /// Waits for the copy and returns it: the elements in row-major order, in their own type, native
  /// byte order.
  MemorySegment await();
}
