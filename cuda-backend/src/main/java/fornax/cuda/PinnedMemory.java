package fornax.cuda;

import fornax.cuda.CudaDriver.HostPointer;
import java.lang.foreign.MemorySegment;
import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/// Page-locked host memory, which the card copies from and to without a detour, in slots of powers
/// of two that are used again.
///
/// A slot is given back by whoever took it. One that was lent to an object comes back by itself
/// when the object is gone and the card is done with it: nobody need fetch what he asked for.
final class PinnedMemory {
  private static final long SMALLEST = 4096;

  private final Map<Long, ArrayDeque<Slot>> free = new HashMap<>();
  private final ArrayDeque<Slot> all = new ArrayDeque<>();
  private final Set<Loan> loans = new HashSet<>();
  private final ReferenceQueue<Object> gone = new ReferenceQueue<>();
  private final ArrayDeque<Slot> abandoned = new ArrayDeque<>(); // the card may still write to them

  /// A piece of memory, and the event that says when the card is done with it.
  record Slot(HostPointer pointer, MemorySegment segment, CUevent event) {}

  /// A slot that an object holds until it gives it back or is gone.
  static final class Loan extends PhantomReference<Object> {
    private final Slot slot;

    private Loan(Object holder, Slot slot, ReferenceQueue<Object> gone) {
      super(holder, gone);
      this.slot = slot;
    }
  }

  /// A slot of at least `bytes` bytes; the device's context is current.
  @SuppressWarnings("restricted") // the driver's memory is looked at as a segment
  synchronized Slot take(long bytes) {
    reclaim();
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

  /// Lends `slot`, whose event has been recorded, to `holder`.
  synchronized Loan lend(Slot slot, Object holder) {
    Loan loan = new Loan(holder, slot, gone);
    loans.add(loan);
    return loan;
  }

  /// Gives back what was lent.
  synchronized void give(Loan loan) {
    if (loans.remove(loan)) {
      loan.clear();
      give(loan.slot);
    }
  }

  // Takes back the slots of holders that are gone, once the card is done with them.
  private void reclaim() {
    for (var reference = gone.poll(); reference != null; reference = gone.poll()) {
      if (reference instanceof Loan loan && loans.remove(loan)) {
        abandoned.add(loan.slot);
      }
    }
    for (Iterator<Slot> slots = abandoned.iterator(); slots.hasNext(); ) {
      Slot slot = slots.next();
      if (JCudaDriver.cuEventQuery(slot.event()) == CUresult.CUDA_SUCCESS) {
        slots.remove();
        give(slot);
      }
    }
  }

  /// The slots asked of the system so far.
  synchronized int slots() {
    return all.size();
  }

  /// Gives all back to the system; the device's context is current.
  synchronized void close() {
    for (Slot slot : all) {
      int _ = JCudaDriver.cuEventDestroy(slot.event());
      int _ = JCudaDriver.cuMemFreeHost(slot.pointer());
    }
    all.clear();
    free.clear();
    loans.clear();
    abandoned.clear();
  }
}
