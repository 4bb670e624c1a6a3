package fornax.opencl;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Memory on the host that uploads are copied to before the device takes them, used again when it
/// has. Used under the lock of its [OpenClQueue].
final class Staging {
  private static final long LIMIT = 64L << 20; // bytes copied but not yet on the device
  private static final long LEAST = 4096;

  private final Arena arena;
  private final Map<Long, ArrayDeque<MemorySegment>> free = new HashMap<>(); // by size
  private long allocated;

  Staging(Arena arena) {
    this.arena = arena;
  }

  /// At least `bytes` bytes; null if that must wait until some are given back.
  ///
  /// @param idle whether none will be given back
  @Nullable MemorySegment take(long bytes, boolean idle) {
    long size = Math.max(LEAST, Long.highestOneBit(2 * bytes - 1));
    ArrayDeque<MemorySegment> fitting = free.get(size);
    MemorySegment segment = fitting == null ? null : fitting.pollLast();
    if (segment == null && idle && allocated + size > LIMIT) { // all of it lies in other sizes
      segment = takeLarger(size);
    }
    if (segment == null && (idle || allocated + size <= LIMIT)) {
      allocated += size;
      segment = arena.allocate(size, 64);
    }
    return segment;
  }

  private @Nullable MemorySegment takeLarger(long size) {
    for (Map.Entry<Long, ArrayDeque<MemorySegment>> entry : free.entrySet()) {
      if (entry.getKey() >= size && !entry.getValue().isEmpty()) {
        return entry.getValue().removeLast();
      }
    }
    return null;
  }

  /// Gives `segment` back if it was taken here.
  void giveBack(MemorySegment segment) {
    if (segment.scope().equals(arena.scope())) {
      free.computeIfAbsent(segment.byteSize(), _ -> new ArrayDeque<>()).addLast(segment);
    }
  }
}
