package fornax.cuda;

import fornax.cuda.CudaDriver.DevicePointer;
import fornax.cuda.CudaDriver.HostPointer;
import java.lang.foreign.MemorySegment;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// Copies to the card that cross the bus while it still computes, so that the next batch is there
/// when its step begins.
///
/// Bytes go into a ring of pinned memory, from there on the stream of copies into a staging area of
/// the card of the same size, and from there, in the order of the calls, on the compute stream to
/// their place. The stream of copies waits for no kernel, only for the staging area to be free.
/// Callers hold the device's lock; its context is current.
final class Uploads {
  private static final int SEGMENT = 2 << 20;
  private static final int SEGMENTS = 4;

  private final PinnedMemory pinned;
  private final CUstream compute;
  private final CUstream copies;
  private final @Nullable Segment[] ring = new @Nullable Segment[SEGMENTS];
  private int current;
  private long used;
  private long waits;
  private long count;

  /// A part of the ring.
  ///
  /// @param host its event says when the staging area has the bytes
  /// @param staging the address on the card
  /// @param consumed when the bytes have left the staging area
  private record Segment(PinnedMemory.Slot host, long staging, CUevent consumed) {}

  Uploads(PinnedMemory pinned, CUstream compute, CUstream copies) {
    this.pinned = pinned;
    this.compute = compute;
    this.copies = copies;
  }

  /// How often the host has waited for room in the ring.
  long waits() {
    return waits;
  }

  /// Copies from host to card so far.
  long count() {
    return count;
  }

  /// Copies `source` to `address` in the order of the calls; it may be reused when this returns.
  void upload(MemorySegment source, long address) {
    long bytes = source.byteSize();
    for (long done = 0; done < bytes; ) {
      Segment segment = room(Math.min(bytes - done, SEGMENT));
      long length = Math.min(bytes - done, SEGMENT - used);
      MemorySegment.copy(source, done, segment.host().segment(), used, length);
      HostPointer from = new HostPointer(segment.host().pointer().address() + used);
      long staged = segment.staging() + used;
      CudaDriver.check(
          JCudaDriver.cuMemcpyHtoDAsync(CudaDriver.pointer(staged), from, length, copies),
          "cuMemcpyHtoDAsync");
      record(segment.host().event(), copies);
      follow(segment.host().event(), compute);
      CudaDriver.check(
          JCudaDriver.cuMemcpyDtoDAsync(
              CudaDriver.pointer(address + done), CudaDriver.pointer(staged), length, compute),
          "cuMemcpyDtoDAsync");
      record(segment.consumed(), compute);
      count++;
      used += (length + 63) / 64 * 64;
      done += length;
    }
  }

  /// Copies `source` to `address` at once, while the compute stream records what it is given.
  void uploadNow(MemorySegment source, long address) {
    PinnedMemory.Slot slot = pinned.take(source.byteSize());
    slot.segment().copyFrom(source);
    CudaDriver.check(
        JCudaDriver.cuMemcpyHtoDAsync(
            CudaDriver.pointer(address), slot.pointer(), source.byteSize(), copies),
        "cuMemcpyHtoDAsync");
    CudaDriver.check(JCudaDriver.cuStreamSynchronize(copies), "upload");
    count++;
    pinned.give(slot);
  }

  // The segment that the next bytes go into. Segments are used in turn; before one is used again,
  // all copies out of it must be done: the host waits for its pinned memory, the stream of copies
  // for its staging area.
  private Segment room(long needed) {
    Segment segment = ring[current];
    if (segment != null && used + needed <= SEGMENT) {
      return segment;
    }
    if (segment != null) {
      current = (current + 1) % SEGMENTS;
      used = 0;
      segment = ring[current];
    }
    if (segment == null) {
      segment = allocate();
      ring[current] = segment;
      return segment;
    }
    if (JCudaDriver.cuEventQuery(segment.host().event()) != CUresult.CUDA_SUCCESS) {
      waits++;
      CudaDriver.check(JCudaDriver.cuEventSynchronize(segment.host().event()), "upload");
    }
    follow(segment.consumed(), copies);
    return segment;
  }

  private Segment allocate() {
    DevicePointer staging = new DevicePointer();
    CudaDriver.check(JCudaDriver.cuMemAlloc(staging, SEGMENT), "cuMemAlloc");
    CUevent consumed = new CUevent();
    CudaDriver.check(
        JCudaDriver.cuEventCreate(consumed, CUevent_flags.CU_EVENT_DISABLE_TIMING),
        "cuEventCreate");
    return new Segment(pinned.take(SEGMENT), staging.address(), consumed);
  }

  private static void record(CUevent event, CUstream stream) {
    CudaDriver.check(JCudaDriver.cuEventRecord(event, stream), "cuEventRecord");
  }

  private static void follow(CUevent event, CUstream later) {
    CudaDriver.check(JCudaDriver.cuStreamWaitEvent(later, event, 0), "cuStreamWaitEvent");
  }

  /// Gives the staging area back, when nothing is under way any more.
  void close() {
    for (Segment segment : ring) {
      if (segment != null) {
        int _ = JCudaDriver.cuEventDestroy(segment.consumed());
        int _ = JCudaDriver.cuMemFree(CudaDriver.pointer(segment.staging()));
      }
    }
  }
}
