package fornax.opencl;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import com.google.errorprone.annotations.concurrent.GuardedBy;
import fornax.backend.Block;
import fornax.backend.BlockSource;
import fornax.backend.DeviceException;
import fornax.backend.KernelTime;
import fornax.backend.NdArray;
import fornax.backend.Readback;
import fornax.backend.Settings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.lwjgl.opencl.CL10;
import org.lwjgl.opencl.CL12;

/// A device's context and its one in-order queue: memory, transfers, launches, late errors, and the
/// time of kernels. Calls from several threads are ordered by this object's lock.
///
/// Design. Nothing here waits but [#synchronize()], a readback's `await`, and the checks of guarded
/// memory. An upload copies its source to a staging buffer, which is reused when the copy to the
/// device is done ([Staging]). A kernel that finds an index outside its axis notes that on the
/// device, and the note travels with the next readback ([IndexErrors]).
final class OpenClQueue implements BlockSource {
  private static final long STAGING_CHUNK = 16L << 20;
  private static final int FLUSH_EVERY = 32; // launches; drivers may hold work back until then

  private final OpenClDevice device;
  private final Programs programs;
  private final long context;
  private final long queue;
  private final long errors; // words on the device
  private final @Nullable KernelTimer timer; // null without profiling

  @GuardedBy("this")
  private final Arena arena;

  private final MemorySegment scratch;

  @GuardedBy("this")
  private final Map<Kernel.Spec, @Nullable Kernel[]> kernels = new HashMap<>();

  @GuardedBy("this")
  private final ArrayDeque<Transfer> pending = new ArrayDeque<>();

  @GuardedBy("this")
  private final Staging staging;

  @GuardedBy("this")
  private final IndexErrors indexErrors = new IndexErrors();

  @GuardedBy("this")
  private final KernelArguments arguments;

  private int sinceFlush;
  private long blocks;
  private boolean closed;

  /// A copy under way.
  ///
  /// @param staging the host's side, to be reused, or null
  /// @param errors where the words of index errors arrive, or null
  private record Transfer(
      long event, @Nullable MemorySegment staging, @Nullable MemorySegment errors) {}

  /// Kernels that a library enqueues.
  interface Call {
    /// Enqueues them.
    ///
    /// @param commands where the handle of the queue is
    /// @param event where to write the event of the last kernel, or null
    void enqueue(MemorySegment commands, MemorySegment event);
  }

  @SuppressWarnings("MustBeClosed") // closed with the queue
  OpenClQueue(OpenClDevice device) {
    this.device = device;
    this.arena = Arena.ofShared();
    this.scratch = arena.allocate(1024, 64);
    this.staging = new Staging(arena);
    boolean profiles = Settings.profile();
    MemorySegment code = scratch.asSlice(0, 4);
    MemorySegment properties =
        arena.allocateFrom(JAVA_LONG, CL10.CL_CONTEXT_PLATFORM, device.platform(), 0);
    MemorySegment devices = arena.allocateFrom(JAVA_LONG, device.handle());
    context =
        CL10.nclCreateContext(properties.address(), 1, devices.address(), 0, 0, code.address());
    OpenClCheck.check(code.get(JAVA_INT, 0), "clCreateContext", device.name());
    queue =
        CL10.nclCreateCommandQueue(
            context,
            device.handle(),
            profiles ? CL10.CL_QUEUE_PROFILING_ENABLE : 0,
            code.address());
    OpenClCheck.check(code.get(JAVA_INT, 0), "clCreateCommandQueue", device.name());
    errors =
        CL10.nclCreateBuffer(context, CL10.CL_MEM_READ_WRITE, IndexErrors.BYTES, 0, code.address());
    OpenClCheck.check(code.get(JAVA_INT, 0), "clCreateBuffer", device.name());
    clearIndexErrors();
    arguments = new KernelArguments(device, scratch, errors, indexErrors);
    timer = profiles ? new KernelTimer(device, queue, scratch) : null;
    programs = new Programs(device, context, cache(device));
  }

  // PoCL keeps what it compiles itself, and for a program's binary compiles it once more.
  private static @Nullable ProgramCache cache(OpenClDevice device) {
    Path directory = Settings.cache();
    boolean keeps = device.name().contains("Portable Computing Language");
    return directory == null || keeps && !Settings.cacheIsChosen()
        ? null
        : new ProgramCache(directory.resolve("opencl"));
  }

  OpenClDevice device() {
    return device;
  }

  Programs programs() {
    return programs;
  }

  // ---- memory

  @Override
  public Block allocate(long bytes) {
    if (bytes > device.allocationBytes()) {
      throw new DeviceException(
          "allocate: one array is larger than "
              + device.name()
              + " allows; got "
              + bytes
              + " bytes; need at most CL_DEVICE_MAX_MEM_ALLOC_SIZE = "
              + device.allocationBytes()
              + "; a smaller batch, context or vocabulary");
    }
    try (Arena local = Arena.ofConfined()) {
      MemorySegment code = local.allocate(JAVA_INT);
      long handle = CL10.nclCreateBuffer(context, CL10.CL_MEM_READ_WRITE, bytes, 0, code.address());
      int result = code.get(JAVA_INT, 0);
      if (result == OpenClCheck.SUCCESS) {
        // Drivers put off the allocation to the first use, where running out is an error of a
        // kernel.
        MemorySegment handles = local.allocateFrom(JAVA_LONG, handle);
        result =
            CL12.nclEnqueueMigrateMemObjects(
                queue, 1, handles.address(), CL12.CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED, 0, 0, 0);
        if (result != OpenClCheck.SUCCESS) {
          CL10.clReleaseMemObject(handle);
        }
      }
      if (OpenClCheck.isOutOfMemory(result)) {
        throw new OutOfMemoryError(OpenClCheck.name(result));
      }
      OpenClCheck.check(result, "clCreateBuffer of " + bytes + " bytes", device.name());
      synchronized (this) {
        blocks++;
      }
      return new OpenClBlock(this, handle, bytes);
    }
  }

  synchronized void free(long handle) {
    CL10.clReleaseMemObject(handle);
    blocks--;
    releaseIfUnused();
  }

  synchronized void fill(long handle, long start, long length, byte value) {
    if (length > 0) {
      scratch.set(JAVA_BYTE, 0, value);
      OpenClCheck.check(
          CL12.nclEnqueueFillBuffer(queue, handle, scratch.address(), 1, start, length, 0, 0, 0),
          "clEnqueueFillBuffer",
          device.name());
    }
  }

  synchronized boolean isFilled(long handle, long start, long length, byte value) {
    try (Arena local = Arena.ofConfined()) {
      MemorySegment bytes = local.allocate(Math.max(1, length));
      OpenClCheck.check(
          CL10.nclEnqueueReadBuffer(
              queue, handle, CL10.CL_TRUE, start, length, bytes.address(), 0, 0, 0),
          "clEnqueueReadBuffer",
          device.name());
      for (long i = 0; i < length; i++) {
        if (bytes.get(JAVA_BYTE, i) != value) {
          return false;
        }
      }
      return true;
    }
  }

  // ---- transfers

  /// Copies `source` to `y`, contiguous; returns when `source` may be reused.
  void upload(MemorySegment source, NdArray y) {
    upload(source, OpenClBlock.handle(y), OpenClBlock.byteOffset(y), y.bytes());
  }

  /// Copies the first `bytes` of `source` to the buffer `handle`, from `offset` on.
  synchronized void upload(MemorySegment source, long handle, long offset, long bytes) {
    for (long at = 0; at < bytes; at += STAGING_CHUNK) {
      long length = Math.min(STAGING_CHUNK, bytes - at);
      MemorySegment host = takeStaging(length);
      MemorySegment.copy(source, at, host, 0, length);
      OpenClCheck.check(
          CL10.nclEnqueueWriteBuffer(
              queue,
              handle,
              CL10.CL_FALSE,
              offset + at,
              length,
              host.address(),
              0,
              0,
              scratch.address()),
          "upload: clEnqueueWriteBuffer",
          device.name());
      pending.addLast(new Transfer(scratch.get(JAVA_LONG, 0), host, null));
    }
    flush();
  }

  @GuardedBy("this")
  private MemorySegment takeStaging(long bytes) {
    reap(false);
    while (true) {
      MemorySegment segment = staging.take(bytes, pending.isEmpty());
      if (segment != null) {
        return segment;
      }
      await(pending.getFirst().event());
      reap(false);
    }
  }

  /// Starts copying `x`, contiguous, to the host.
  @SuppressWarnings("MustBeClosed") // the collector's, since a readback may be dropped
  synchronized Readback readback(NdArray x) {
    long bytes = x.bytes();
    // The pending transfer holds the segment for as long as the device may write to it.
    MemorySegment host = Arena.ofAuto().allocate(Math.max(8, bytes), 64).asSlice(0, bytes);
    enqueueErrorCheck();
    if (bytes > 0) {
      OpenClCheck.check(
          CL10.nclEnqueueReadBuffer(
              queue,
              OpenClBlock.handle(x),
              CL10.CL_FALSE,
              OpenClBlock.byteOffset(x),
              bytes,
              host.address(),
              0,
              0,
              scratch.address()),
          "readback: clEnqueueReadBuffer",
          device.name());
    } else {
      OpenClCheck.check(
          CL12.nclEnqueueMarkerWithWaitList(queue, 0, 0, scratch.address()),
          "readback: clEnqueueMarkerWithWaitList",
          device.name());
    }
    long event = scratch.get(JAVA_LONG, 0);
    OpenClCheck.check(CL10.clRetainEvent(event), "clRetainEvent", device.name());
    pending.addLast(new Transfer(event, host, null));
    flush();
    return new Result(event, host);
  }

  private final class Result implements Readback {
    private final MemorySegment host;
    private long event;

    Result(long event, MemorySegment host) {
      this.event = event;
      this.host = host;
    }

    @Override
    public MemorySegment await() {
      synchronized (OpenClQueue.this) {
        if (event != 0) {
          OpenClQueue.this.await(event);
          CL10.clReleaseEvent(event);
          event = 0;
          reap(false);
          indexErrors.rethrow();
        }
        return host;
      }
    }
  }

  @GuardedBy("this")
  private void await(long event) {
    scratch.set(JAVA_LONG, 0, event);
    OpenClCheck.check(
        CL10.nclWaitForEvents(1, scratch.address()), "clWaitForEvents", device.name());
  }

  // Takes up the transfers that are done, in their order.
  @GuardedBy("this")
  private void reap(boolean all) {
    while (!pending.isEmpty()) {
      Transfer first = pending.getFirst();
      if (!all && !isDone(first.event())) {
        return;
      }
      pending.removeFirst();
      CL10.clReleaseEvent(first.event());
      MemorySegment words = first.errors();
      if (words != null && indexErrors.note(words)) {
        clearIndexErrors();
      }
      MemorySegment host = first.staging();
      if (host != null) {
        staging.giveBack(host);
      }
    }
  }

  @GuardedBy("this")
  private boolean isDone(long event) {
    OpenClCheck.check(
        CL10.nclGetEventInfo(
            event, CL10.CL_EVENT_COMMAND_EXECUTION_STATUS, 4, scratch.address(), 0),
        "clGetEventInfo",
        device.name());
    int status = scratch.get(JAVA_INT, 0);
    if (status < 0) {
      OpenClCheck.check(status, "transfer", device.name());
    }
    return status == CL10.CL_COMPLETE;
  }

  // ---- late errors

  @SuppressWarnings("MustBeClosed") // the collector's
  @GuardedBy("this")
  private void enqueueErrorCheck() {
    if (!indexErrors.takeUnchecked()) {
      return;
    }
    MemorySegment words = Arena.ofAuto().allocate(IndexErrors.BYTES, 8);
    OpenClCheck.check(
        CL10.nclEnqueueReadBuffer(
            queue,
            errors,
            CL10.CL_FALSE,
            0,
            words.byteSize(),
            words.address(),
            0,
            0,
            scratch.address()),
        "clEnqueueReadBuffer",
        device.name());
    pending.addLast(new Transfer(scratch.get(JAVA_LONG, 0), null, words));
  }

  private void clearIndexErrors() {
    scratch.set(JAVA_INT, 0, 0);
    OpenClCheck.check(
        CL12.nclEnqueueFillBuffer(
            queue, errors, scratch.address(), 4, 0, IndexErrors.BYTES, 0, 0, 0),
        "clEnqueueFillBuffer",
        device.name());
  }

  /// Waits until all enqueued work is done and reports its errors.
  synchronized void synchronize() {
    enqueueErrorCheck();
    OpenClCheck.check(CL10.clFinish(queue), "clFinish", device.name());
    reap(true);
    indexErrors.rethrow();
  }

  // ---- launches

  /// Runs one kernel on behalf of the operation `op`. Arguments are, in the kernel's order: an
  /// [NdArray] (two arguments: its buffer and its first element), a [Long] (an `INDEX`), an
  /// [Integer] or a [Float], an [Argument] (a structure), or an [IndexErrors.Check] (two
  /// arguments).
  synchronized void launch(String op, Kernel.Spec spec, Grid grid, Object... arguments) {
    if (grid.isEmpty()) {
      return;
    }
    Kernel kernel = kernel(spec, KernelArguments.isWide(grid, arguments));
    this.arguments.set(op, kernel, grid, arguments);
    scratch.setAtIndex(JAVA_LONG, 0, grid.x() * grid.localX());
    scratch.setAtIndex(JAVA_LONG, 1, grid.y() * grid.localY());
    scratch.setAtIndex(JAVA_LONG, 2, grid.z());
    scratch.setAtIndex(JAVA_LONG, 3, grid.localX());
    scratch.setAtIndex(JAVA_LONG, 4, grid.localY());
    scratch.setAtIndex(JAVA_LONG, 5, 1);
    int code =
        CL10.nclEnqueueNDRangeKernel(
            queue,
            kernel.handle(),
            3,
            0,
            scratch.address(),
            scratch.address() + 24,
            0,
            0,
            timer == null ? 0 : scratch.address() + 48);
    if (code != OpenClCheck.SUCCESS) {
      throw this.arguments.failed(op, kernel, grid, code, "clEnqueueNDRangeKernel");
    }
    if (timer != null) {
      timer.add(op, spec, scratch.getAtIndex(JAVA_LONG, 6));
    }
    launched();
  }

  private void launched() {
    if (++sinceFlush >= FLUSH_EVERY) {
      flush();
    }
  }

  /// Lets a library enqueue kernels on behalf of the operation `op`, under the name `function`.
  synchronized void call(String op, String function, Call call) {
    try (Arena local = Arena.ofConfined()) {
      MemorySegment commands = local.allocateFrom(JAVA_LONG, queue);
      if (timer != null) {
        MemorySegment events = local.allocate(JAVA_LONG, 2);
        OpenClCheck.check(
            CL12.nclEnqueueMarkerWithWaitList(queue, 0, 0, events.address()),
            "clEnqueueMarkerWithWaitList",
            device.name());
        call.enqueue(commands, events.asSlice(8));
        timer.add(op, function, events.getAtIndex(JAVA_LONG, 0), events.getAtIndex(JAVA_LONG, 1));
      } else {
        call.enqueue(commands, MemorySegment.NULL);
      }
    }
    launched();
  }

  @GuardedBy("this")
  private Kernel kernel(Kernel.Spec spec, boolean wide) {
    @Nullable Kernel[] both = kernels.computeIfAbsent(spec, _ -> new Kernel[2]);
    Kernel kernel = both[wide ? 1 : 0];
    if (kernel == null) {
      kernel = programs.compile(spec, wide);
      both[wide ? 1 : 0] = kernel;
    }
    return kernel;
  }

  private void flush() {
    sinceFlush = 0;
    OpenClCheck.check(CL10.clFlush(queue), "clFlush", device.name());
  }

  // ---- profiling

  /// The time of each kernel since the last call; see [fornax.backend.Backend#kernelTimes()].
  synchronized List<KernelTime> kernelTimes() {
    return timer == null ? List.of() : timer.table();
  }

  // ---- end

  /// Ends the queue when the last block has been freed.
  synchronized void close() {
    if (!closed) {
      closed = true;
      CL10.clFinish(queue);
      reap(true);
      releaseIfUnused();
    }
  }

  @GuardedBy("this")
  private void releaseIfUnused() {
    if (closed && blocks == 0) {
      for (@Nullable Kernel[] both : kernels.values()) {
        for (Kernel kernel : both) {
          if (kernel != null) {
            CL10.clReleaseKernel(kernel.handle());
          }
        }
      }
      if (timer != null) {
        timer.release();
      }
      CL10.clReleaseMemObject(errors);
      CL10.clReleaseCommandQueue(queue);
      CL10.clReleaseContext(context);
      arena.close();
    }
  }
}
