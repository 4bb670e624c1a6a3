package fornax.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class MemoryTest {
  private static final long LIMIT = 1 << 20;

  // A pool with the settings given here, whatever the test run's are.
  private static Memory memory(boolean guarded, String leaks) {
    String guard = System.setProperty("fornax.memory.guard", Boolean.toString(guarded));
    String level = System.setProperty("fornax.leaks", leaks);
    try {
      return new Memory("test", new HostBlocks(), LIMIT);
    } finally {
      restore("fornax.memory.guard", guard);
      restore("fornax.leaks", level);
    }
  }

  private static void restore(String name, @org.jspecify.annotations.Nullable String value) {
    if (value == null) {
      System.clearProperty(name);
    } else {
      System.setProperty(name, value);
    }
  }

  private static NdArray floats(Memory memory, long count) {
    return memory.allocate(DType.F32, Shape.of(count), Owner.DATA);
  }

  @Test
  void stats_countWhatIsLiveAndCached() {
    try (Memory memory = memory(false, "off")) {
      NdArray a = floats(memory, 100);
      NdArray b = memory.allocate(DType.BF16, Shape.of(3, 5), Owner.GRADIENTS);
      assertEquals(new MemoryStats(430, 430, 0, 448 + 64, 2, 2, 2), memory.stats());
      assertEquals(400, memory.live(Owner.DATA));
      assertEquals(30, memory.live(Owner.GRADIENTS));
      a.buffer().release();
      assertEquals(new MemoryStats(30, 430, 448, 448 + 64, 1, 2, 2), memory.stats());
      memory.resetPeak();
      NdArray c = floats(memory, 110);
      assertSame(a.buffer().leased(), c.buffer().leased());
      assertEquals(new MemoryStats(470, 470, 0, 448 + 64, 2, 3, 2), memory.stats());
      b.buffer().setOwner(Owner.PARAMETERS);
      assertEquals(0, memory.live(Owner.GRADIENTS));
      assertEquals(30, memory.live(Owner.PARAMETERS));
      b.buffer().release();
      c.buffer().release();
      memory.trim();
      assertEquals(new MemoryStats(0, 470, 0, 0, 0, 3, 2), memory.stats());
    }
  }

  @Test
  void sizeClass_losesAtMostAnEighth() {
    assertEquals(64, Memory.sizeClass(0));
    assertEquals(64, Memory.sizeClass(64));
    assertEquals(128, Memory.sizeClass(65));
    for (long bytes = 1; bytes < 100_000; bytes += 37) {
      long size = Memory.sizeClass(bytes);
      long asked = bytes;
      assertTrue(
          size >= bytes && size - bytes <= Math.max(63, bytes / 8), () -> asked + " " + size);
      assertEquals(0, size % 64);
      assertEquals(size, Memory.sizeClass(size));
    }
  }

  @Test
  void blocks_areAlignedAndReusedLastInFirstOut() {
    try (Memory memory = memory(false, "off")) {
      NdArray a = floats(memory, 1000);
      NdArray b = floats(memory, 1000);
      assertNotSame(a.buffer().leased(), b.buffer().leased());
      assertEquals(0, HostBlock.segment(a).address() % 64);
      assertEquals(4000, HostBlock.segment(a).byteSize());
      a.buffer().release();
      b.buffer().release();
      NdArray c = floats(memory, 1000);
      assertSame(b.buffer().leased(), c.buffer().leased());
      c.buffer().release();
    }
  }

  @Test
  void largeBlocks_beginOnAHugePage() {
    try (Memory memory = new Memory("test", new HostBlocks(), Long.MAX_VALUE)) {
      NdArray large = floats(memory, 1 << 20);
      long misplaced = HostBlock.segment(large).address() % (2 << 20);
      assertEquals(Settings.guardMemory() ? 64 : 0, misplaced);
      HostBlock.segment(large).fill((byte) 1);
      large.buffer().release();
    }
  }

  @Test
  void holders_keepABufferAlive() {
    try (Memory memory = memory(false, "off")) {
      Buffer buffer = floats(memory, 4).buffer();
      buffer.retain();
      buffer.release();
      assertEquals(1, buffer.holders());
      assertEquals(16, memory.stats().live());
      buffer.release();
      assertEquals(0, memory.stats().live());
      assertThrows(IllegalStateException.class, buffer::release);
      assertThrows(IllegalStateException.class, buffer::retain);
    }
  }

  @Test
  void guardWords_catchWritesOutside() {
    try (Memory memory = memory(true, "off")) {
      for (long outside : new long[] {63, 64 + 12, 64 + 12 + 63}) {
        Buffer buffer = floats(memory, 3).buffer();
        buffer.leased().fill(outside, 1, (byte) 0);
        String message = assertThrows(IllegalStateException.class, buffer::release).getMessage();
        assertEquals(
            "memory: written outside a buffer; got damaged guard words round F32 [3] (12 bytes,"
                + " DATA)",
            message);
        assertEquals(0, memory.stats().live());
      }
      Buffer inside = floats(memory, 3).buffer();
      inside.block().fill(64, 12, (byte) 0);
      inside.release();
    }
  }

  @Test
  void poison_makesForgottenContentsNaN() {
    try (Memory memory = memory(true, "off")) {
      NdArray array = floats(memory, 3);
      for (int i = 0; i < 3; i++) {
        assertTrue(Float.isNaN(HostBlock.segment(array).getAtIndex(ValueLayout.JAVA_FLOAT, i)));
      }
      Buffer buffer = array.buffer();
      buffer.leased().fill(64, 12, (byte) 0);
      buffer.release();
      assertTrue(buffer.leased().isFilled(64, 12, (byte) 0xff));
    }
  }

  @Test
  void limit_isReportedAndTheDeviceStaysUsable() {
    try (Memory memory = memory(false, "off")) {
      NdArray kept = memory.allocate(DType.F32, Shape.of(128, 1024), Owner.PARAMETERS);
      NdArray cached = floats(memory, 50_000);
      cached.buffer().release();
      OutOfDeviceMemoryException e =
          assertThrows(OutOfDeviceMemoryException.class, () -> floats(memory, 200_000));
      String message = String.valueOf(e.getMessage());
      assertTrue(message.startsWith("allocate: out of memory on test; got a request of "), message);
      assertTrue(message.contains("for F32 [200000] (DATA), 524288 bytes in use"), message);
      assertTrue(message.contains("need at most 1048576;"), message);
      assertTrue(message.contains("F32 [128, 1024] (524288 bytes, PARAMETERS)"), message);
      assertEquals(0, memory.stats().cached()); // given back before giving up
      NdArray after = floats(memory, 100_000);
      after.buffer().release();
      kept.buffer().release();
      memory.setLimit(1000);
      assertEquals(1000, memory.limit());
      memory.trim();
      assertThrows(OutOfDeviceMemoryException.class, () -> floats(memory, 1000));
    }
  }

  @Test
  void leaks_nameWhereBuffersWereMade() {
    try (Memory memory = memory(false, "paranoid")) {
      NdArray lost = floats(memory, 7);
      String leak = memory.leaks().getFirst();
      assertTrue(leak.startsWith("F32 [7] (28 bytes, DATA)"), leak);
      assertTrue(leak.contains("leaks_nameWhereBuffersWereMade"), leak);
      lost.buffer().release();
      assertTrue(memory.leaks().isEmpty());
    }
    try (Memory memory = memory(false, "off")) {
      NdArray lost = floats(memory, 7);
      assertFalse(memory.leaks().getFirst().contains("\n"));
      lost.buffer().release();
    }
  }

  @Test
  void close_takesNoMoreAndFreesWhatFollows() {
    Memory memory = memory(false, "off");
    NdArray array = floats(memory, 7);
    memory.close();
    assertThrows(IllegalStateException.class, () -> floats(memory, 7));
    array.buffer().release();
    assertEquals(0, memory.stats().system());
  }
}
