package fornax.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Memory of the host, off the heap.
public final class HostBlock extends Block {
  private final Arena arena;
  private final MemorySegment segment;

  HostBlock(Arena arena, MemorySegment segment) {
    super(segment.byteSize());
    this.arena = arena;
    this.segment = segment;
  }

  /// The bytes of the buffer of `array`, all of them: the array's elements lie in it by its layout.
  public static MemorySegment segment(NdArray array) {
    Buffer buffer = array.buffer();
    return ((HostBlock) buffer.block()).segment.asSlice(buffer.start(), buffer.bytes());
  }

  @Override
  protected void fill(long start, long length, byte value) {
    segment.asSlice(start, length).fill(value);
  }

  @Override
  protected boolean isFilled(long start, long length, byte value) {
    for (long i = start; i < start + length; i++) {
      if (segment.get(java.lang.foreign.ValueLayout.JAVA_BYTE, i) != value) {
        return false;
      }
    }
    return true;
  }

  @Override
  protected void free() {
    arena.close();
  }
}
