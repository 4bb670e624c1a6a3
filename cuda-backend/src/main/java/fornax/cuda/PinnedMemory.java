package fornax.cuda;

import fornax.cuda.CudaDriver.HostPointer;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.JCudaDriver;

/// Page-locked host memory, which the card copies from and to without a detour, in slots of powers
/// of two that are used again.
final class PinnedMemory {
  private static final long SMALLEST = 4096;

  private final Map<Long, ArrayDeque<Slot>> free = new HashMap<>();
  private final ArrayDeque<Slot> all = new ArrayDeque<>();

  /// A piece of memory, and the event that says when the card is done with it.
  record Slot(HostPointer pointer, MemorySegment segment, CUevent event) {}

  /// A slot of at least `bytes` bytes; the device's context is current.
  @SuppressWarnings("restricted") // the driver's memory is looked at as a segment
  synchronized Slot take(long bytes) {
    long size = Math.max(SMALLEST, Long.highestOneBit(Math.max(1, bytes - 1)) << 1);
    ArrayDeque<Slot> slots = free.get(size);
    Slot slot = slots == null ? null : slots.pollLast();
    if (slot == null) {
      HostPointer pointer = new HostPointer();
      CudaDriver.check(JCudaDriver.cuMemHostAlloc(pointer, size, 0), "cuMemHostAlloc");
      CUevent event = new CUevent();
      CudaDriver.check(
          JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DISABLE_TIMING), "cuEventCreate");
      slot = new Slot(pointer, MemorySegment.ofAddress(pointer.address()).reinterpret(size), event);
      all.add(slot);
    }
    return slot;
  }

  synchronized void give(Slot slot) {
    free.computeIfAbsent(slot.segment().byteSize(), _ -> new ArrayDeque<>()).addLast(slot);
  }

  /// Gives all back to the system; the device's context is current.
  synchronized void close() {
    for (Slot slot : all) {
      int _ = JCudaDriver.cuEventDestroy(slot.event());
      int _ = JCudaDriver.cuMemFreeHost(slot.pointer());
    }
    all.clear();
    free.clear();
  }
}
