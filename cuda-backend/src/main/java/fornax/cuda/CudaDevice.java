package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.array.DType;
import fornax.backend.DeviceException;
import fornax.backend.DeviceInfo;
import fornax.backend.KernelTime;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Readback;
import fornax.backend.Settings;
import fornax.cuda.CudaDriver.DevicePointer;
import fornax.cuda.CudaDriver.HostPointer;
import fornax.cuda.CudaProbe.Card;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/// One card: its context, streams, loaded kernels, memory and copies. Everything is enqueued on the
/// compute stream, but that [Uploads] and large readbacks cross the bus on a stream of their own,
/// fenced by events, so that work is done in the order of the calls. Any thread may call; calls are
/// taken one by one.
final class CudaDevice implements AutoCloseable {
  /// Readbacks up to this size go on the compute stream: a fence costs more than it gains.
  private static final long SMALL_COPY = 1 << 20;

  /// What is left free of the card's memory for the driver's own needs.
  private static final long RESERVE = 256L << 20;

  /// What every kernel may have of shared memory; more is asked for.
  private static final int PLAIN_SHARED_BYTES = 48 << 10;

  private static final int REMEMBERED_LAUNCHES = 16;

  private final int index;
  private final Card card;
  private final CUdevice handle;
  private final CUcontext context = new CUcontext();
  private final CUstream compute = new CUstream();
  private final CUstream copies = new CUstream();
  private final CUevent computeDone = new CUevent();
  private final CUevent copyDone = new CUevent();
  private final CudaCompiler compiler;
  private final Map<String, CUmodule> modules = new HashMap<>();
  private final Map<String, Kernel> kernels = new HashMap<>();
  private final Map<Kernel, Integer> sharedAllowed = new HashMap<>();
  private final PinnedMemory pinned = new PinnedMemory();
  private final Uploads uploads = new Uploads(pinned, compute, copies);
  private final IndexErrors indexErrors = new IndexErrors();
  private final long errorAddress;
  private final Memory memory;

  // The arguments of a launch, copied by the driver before cuLaunchKernel returns: a table of
  // pointers, then the words they point to.
  private final Arena arena = Arena.ofShared();
  private final MemorySegment argumentTable = arena.allocate(JAVA_LONG, 24);
  private final MemorySegment argumentWords = arena.allocate(JAVA_LONG, 256);
  private final Pointer arguments = new HostPointer(argumentTable.address());

  private final String[] recent = new String[REMEMBERED_LAUNCHES];
  private final boolean check = Settings.check();
  private final @Nullable KernelClock clock = Settings.profile() ? new KernelClock(compute) : null;
  private long launches;
  private long copyCount;
  private long waits;
  private boolean capturing;
  private boolean closed;

  /// Opens the card `index`.
  static CudaDevice open(CudaProbe probe, int index) {
    return new CudaDevice(probe, index);
  }

  private CudaDevice(CudaProbe probe, int index) {
    this.index = index;
    this.handle = CudaDriver.device(index);
    check(JCudaDriver.cuDevicePrimaryCtxRetain(context, handle), "cuDevicePrimaryCtxRetain");
    check(JCudaDriver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
    for (CUstream stream : List.of(compute, copies)) {
      check(
          JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING),
          "cuStreamCreate");
    }
    for (CUevent event : List.of(computeDone, copyDone)) {
      check(
          JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    }
    compiler = new CudaCompiler(probe.nvrtc, probe.driverVersion());
    DevicePointer error = new DevicePointer();
    check(JCudaDriver.cuMemAlloc(error, IndexErrors.BYTES), "cuMemAlloc");
    errorAddress = error.address();
    setBytes(errorAddress, IndexErrors.BYTES, (byte) 0);
    long[] free = new long[1];
    long[] total = new long[1];
    check(JCudaDriver.cuMemGetInfo(free, total), "cuMemGetInfo");
    card =
        new Card(index, CudaDriver.name(handle), CudaDriver.capability(handle), free[0], total[0]);
    memory = new Memory(id(), this::allocate, Settings.memoryLimit(usable(free[0])));
  }

  /// What of `free` bytes arrays may take.
  static long usable(long free) {
    return Math.max(free - RESERVE, free / 2);
  }

  String id() {
    return "cuda:" + index;
  }

  /// The card's name.
  String name() {
    return card.name();
  }

  /// Whether this is the software device, whose times say nothing.
  boolean isTestOnly() {
    return DeviceInfo.available("cuda", id(), name()).testOnly();
  }

  /// Such as 90.
  int capability() {
    return card.capability();
  }

  Memory memory() {
    return memory;
  }

  CUstream compute() {
    return compute;
  }

  CUstream copies() {
    return copies;
  }

  IndexErrors indexErrors() {
    return indexErrors;
  }

  /// Where kernels report bad indices.
  long errorAddress() {
    return errorAddress;
  }

  /// Kernels launched so far.
  synchronized long launches() {
    return launches;
  }

  /// Copies between host and card so far.
  synchronized long copyCount() {
    return copyCount + uploads.count();
  }

  /// How often the host has waited for the card so far.
  synchronized long waits() {
    return waits + uploads.waits();
  }

  /// Slots of pinned memory asked of the system so far.
  int pinnedSlots() {
    return pinned.slots();
  }

  // ---- errors

  private void check(int status, String op) {
    if (status != CUresult.CUDA_SUCCESS) {
      if (status == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
        throw new OutOfMemoryError(op + ": CUDA_ERROR_OUT_OF_MEMORY on " + id());
      }
      throw new DeviceException(
          op + ": " + id() + " failed; got " + CudaDriver.describe(status) + recentLaunches());
    }
  }

  // An error of a kernel comes with a later call: one of these made it.
  private String recentLaunches() {
    List<String> names = new ArrayList<>();
    long from = Math.max(0, launches - REMEMBERED_LAUNCHES);
    for (long i = launches - 1; i >= from; i--) {
      names.add(recent[(int) (i % REMEMBERED_LAUNCHES)]);
    }
    return names.isEmpty()
        ? ""
        : "; the last launches, newest first: "
            + String.join(", ", names)
            + "; -Dfornax.check=true names the one that failed";
  }

  /// Makes the device's context current on this thread.
  void makeCurrent() {
    if (closed) {
      throw new IllegalStateException(id() + " has been closed");
    }
    check(JCudaDriver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  }

  // ---- kernels

  /// Begins a launch of the kernel `name` of the file `file` (without `.cu`).
  Launch kernel(String op, String file, String name) {
    return new Launch(this, load(file, name), op);
  }

  private synchronized Kernel load(String file, String name) {
    Kernel kernel = kernels.get(name);
    if (kernel == null) {
      makeCurrent();
      CUmodule module = modules.get(file);
      if (module == null) {
        module = loadModule(file);
        modules.put(file, module);
      }
      CUfunction function = new CUfunction();
      check(
          JCudaDriver.cuModuleGetFunction(function, module, name),
          "cuModuleGetFunction " + name + " of " + file + ".cu");
      kernel = new Kernel(file, name, function);
      kernels.put(name, kernel);
    }
    return kernel;
  }

  private CUmodule loadModule(String file) {
    KernelSource source = KernelSource.load(file);
    CudaCompiler.Code code = compiler.compile(source, capability());
    CUmodule module = new CUmodule();
    int status = load(module, code);
    boolean refused =
        status == CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU
            || status == CUresult.CUDA_ERROR_INVALID_IMAGE;
    if (code.cubin() && refused && Settings.cudaCode() == Settings.CudaCode.AUTO) {
      logRefusal("cubin", file, status, "loading PTX");
      code = compiler.ptx(source, capability());
      status = load(module, code);
    }
    if (!code.cubin() && status == CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION) {
      logRefusal("PTX", file, status, "loading PTX of an older version");
      status = load(module, compiler.portablePtx(source));
    }
    check(status, "cuModuleLoadData of " + file + ".cu");
    return module;
  }

  private void logRefusal(String form, String file, int status, String instead) {
    System.getLogger("fornax.cuda")
        .log(
            System.Logger.Level.INFO,
            "cuda: "
                + id()
                + " refuses the "
                + form
                + " of "
                + file
                + ".cu ("
                + CUresult.stringFor(status)
                + "), "
                + instead);
  }

  private static int load(CUmodule module, CudaCompiler.Code code) {
    byte[] image = code.bytes();
    if (!code.cubin()) {
      image = java.util.Arrays.copyOf(image, image.length + 1); // the text ends with a zero
    }
    return JCudaDriver.cuModuleLoadData(module, image);
  }

  /// Enqueues a kernel; [Launch] calls this.
  synchronized void launch(
      Launch launch,
      int gridX,
      int gridY,
      int gridZ,
      int blockX,
      int blockY,
      long[] words,
      int used,
      int[] starts,
      int count) {
    makeCurrent();
    if (launch.sharedBytes > PLAIN_SHARED_BYTES) {
      allowShared(launch.kernel, launch.sharedBytes);
    }
    MemorySegment.copy(words, 0, argumentWords, JAVA_LONG, 0, used);
    for (int i = 0; i < count; i++) {
      argumentTable.setAtIndex(JAVA_LONG, i, argumentWords.address() + 8L * starts[i]);
    }
    beginTimed();
    int status =
        JCudaDriver.cuLaunchKernel(
            launch.kernel.function(),
            gridX,
            gridY,
            gridZ,
            blockX,
            blockY,
            1,
            launch.sharedBytes,
            compute,
            arguments,
            null);
    endTimed(launch.op, launch.kernel.file() + " " + launch.kernel.name());
    noteLaunch(launch.op);
    if (status != CUresult.CUDA_SUCCESS) {
      check(
          status,
          launch.op
              + ": kernel "
              + launch.kernel.name()
              + " of "
              + launch.kernel.file()
              + ".cu, grid ["
              + gridX
              + ", "
              + gridY
              + ", "
              + gridZ
              + "], block ["
              + blockX
              + ", "
              + blockY
              + "]");
    }
    checkNow(launch.op);
  }

  private void allowShared(Kernel kernel, int bytes) {
    if (sharedAllowed.merge(kernel, bytes, Math::max) == bytes) {
      check(
          JCudaDriver.cuFuncSetAttribute(
              kernel.function(),
              CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
              bytes),
          "cuFuncSetAttribute " + kernel.name());
    }
  }

  /// Notes that work of `op` has been enqueued.
  synchronized void noteLaunch(String op) {
    recent[(int) (launches % REMEMBERED_LAUNCHES)] = op;
    launches++;
  }

  // ---- time

  /// Before work that [#kernelTimes()] tells of.
  synchronized void beginTimed() {
    if (clock != null) {
      clock.start();
    }
  }

  /// After it.
  synchronized void endTimed(String op, String kernel) {
    if (clock != null) {
      clock.stop(op, kernel);
    }
  }

  /// See [fornax.backend.Backend#kernelTimes()].
  synchronized List<KernelTime> kernelTimes() {
    makeCurrent();
    return clock == null ? List.of() : clock.take();
  }

  /// What `work` takes of the card's time; waits for it.
  synchronized long nanos(Runnable work) {
    makeCurrent();
    KernelClock own = new KernelClock(compute);
    try {
      return own.nanos(work);
    } finally {
      own.close();
    }
  }

  /// With `-Dfornax.check=true`, waits for what has been enqueued.
  void checkNow(String op) {
    if (check) {
      check(JCudaDriver.cuStreamSynchronize(compute), op);
    }
  }

  // ---- memory

  private synchronized CudaBlock allocate(long bytes) {
    makeCurrent();
    return new CudaBlock(this, allocateRaw(bytes), bytes);
  }

  /// Device memory outside the pool; it is given back with [#free(long)].
  synchronized long allocateRaw(long bytes) {
    DevicePointer pointer = new DevicePointer();
    check(JCudaDriver.cuMemAlloc(pointer, bytes), "cuMemAlloc of " + bytes + " bytes");
    return pointer.address();
  }

  synchronized void free(long address) {
    if (!closed) { // the context took its memory with it
      makeCurrent();
      check(JCudaDriver.cuMemFree(CudaDriver.pointer(address)), "cuMemFree");
    }
  }

  /// Sets bytes, in the order of the calls.
  synchronized void setBytes(long address, long length, byte value) {
    if (length > 0 && !closed) {
      makeCurrent();
      check(
          JCudaDriver.cuMemsetD8Async(CudaDriver.pointer(address), value, length, compute),
          "cuMemsetD8Async");
    }
  }

  /// Copies within the device, in the order of the calls.
  synchronized void copyBytes(long from, long to, long length) {
    makeCurrent();
    check(
        JCudaDriver.cuMemcpyDtoDAsync(
            CudaDriver.pointer(to), CudaDriver.pointer(from), length, compute),
        "cuMemcpyDtoDAsync");
  }

  // ---- graphs

  /// What is enqueued from now on is recorded, not done.
  synchronized void beginCapture() {
    makeCurrent();
    // Uploads of constants during the capture are done at once: nothing before may be under way.
    check(JCudaDriver.cuStreamSynchronize(compute), "capture");
    check(JCudaDriver.cuStreamSynchronize(copies), "capture");
    check(
        JCudaDriver.cuStreamBeginCapture(
            compute, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED),
        "cuStreamBeginCapture");
    capturing = true;
  }

  /// Ends the recording and makes it ready to run.
  synchronized CUgraphExec endCapture() {
    makeCurrent();
    capturing = false;
    CUgraph graph = new CUgraph();
    check(JCudaDriver.cuStreamEndCapture(compute, graph), "cuStreamEndCapture");
    CUgraphExec ready = new CUgraphExec();
    int status = JCudaDriver.cuGraphInstantiate(ready, graph, 0);
    int _ = JCudaDriver.cuGraphDestroy(graph);
    check(status, "cuGraphInstantiate");
    return ready;
  }

  /// Whether work is being recorded.
  synchronized boolean isCapturing() {
    return capturing;
  }

  /// Enqueues recorded work.
  synchronized void launch(CUgraphExec graph, boolean withIndices) {
    makeCurrent();
    check(JCudaDriver.cuGraphLaunch(graph, compute), "cuGraphLaunch");
    if (withIndices) {
      indexErrors.replayed();
    }
    noteLaunch("replay");
  }

  synchronized void destroy(CUgraphExec graph) {
    if (!closed) {
      makeCurrent();
      check(JCudaDriver.cuStreamSynchronize(compute), "close of a replay");
      check(JCudaDriver.cuGraphExecDestroy(graph), "cuGraphExecDestroy");
    }
  }

  // ---- copies to and from the host

  /// Copies `source` to the device; it may be reused when this returns.
  synchronized void upload(MemorySegment source, long address) {
    makeCurrent();
    if (capturing) {
      uploads.uploadNow(source, address);
    } else {
      uploads.upload(source, address);
    }
  }

  // What is enqueued on `later` from now on waits for what has been enqueued on `earlier`.
  private void follow(CUstream earlier, CUevent event, CUstream later) {
    check(JCudaDriver.cuEventRecord(event, earlier), "cuEventRecord");
    check(JCudaDriver.cuStreamWaitEvent(later, event, 0), "cuStreamWaitEvent");
  }

  /// Starts copying `x`, contiguous, to the host.
  synchronized Readback readback(NdArray x) {
    if (capturing) {
      throw new IllegalStateException(
          "readback: inside a captured step; got " + x + "; need to read it after the run");
    }
    makeCurrent();
    long bytes = x.bytes();
    boolean withErrors = indexErrors.pending();
    PinnedMemory.Slot slot = pinned.take(bytes + IndexErrors.BYTES + 8);
    long errorsAt = (bytes + 7) / 8 * 8;
    CUstream stream = bytes <= SMALL_COPY ? compute : copies;
    if (stream == copies) {
      follow(compute, computeDone, copies);
    }
    if (bytes > 0) {
      copyToHost(CudaBlock.address(x), slot.pointer().address(), bytes, stream);
    }
    if (withErrors) {
      copyToHost(errorAddress, slot.pointer().address() + errorsAt, IndexErrors.BYTES, stream);
    }
    check(JCudaDriver.cuEventRecord(slot.event(), stream), "cuEventRecord");
    if (stream == copies) {
      follow(copies, copyDone, compute);
    }
    return new PendingReadback(slot, bytes, withErrors ? errorsAt : -1, indexErrors.latest());
  }

  private void copyToHost(long from, long to, long bytes, CUstream stream) {
    check(
        JCudaDriver.cuMemcpyDtoHAsync(new HostPointer(to), CudaDriver.pointer(from), bytes, stream),
        "cuMemcpyDtoHAsync");
    copyCount++;
  }

  /// A copy under way, in a pinned slot that is given back when it has been fetched, or when nobody
  /// can fetch it any more.
  private final class PendingReadback implements Readback {
    private PinnedMemory.@Nullable Slot slot;
    private final PinnedMemory.Loan loan;
    private final long bytes;
    private final long errorsAt;
    private final int ticket;
    private MemorySegment result = MemorySegment.NULL;
    private @Nullable IndexOutOfBoundsException error;

    PendingReadback(PinnedMemory.Slot slot, long bytes, long errorsAt, int ticket) {
      this.slot = slot;
      this.loan = pinned.lend(slot, this);
      this.bytes = bytes;
      this.errorsAt = errorsAt;
      this.ticket = ticket;
    }

    @Override
    public synchronized MemorySegment await() {
      PinnedMemory.Slot full = slot;
      if (full != null) {
        waitFor(full);
        // Longs, so that the segment is aligned for every type.
        MemorySegment copy = MemorySegment.ofArray(new long[Math.toIntExact((bytes + 7) / 8)]);
        result = copy.asSlice(0, bytes);
        result.copyFrom(full.segment().asSlice(0, bytes));
        if (errorsAt >= 0) {
          error = indexError(full.segment().asSlice(errorsAt, IndexErrors.BYTES), ticket);
        }
        slot = null;
        pinned.give(loan);
      }
      if (error != null) {
        throw error;
      }
      return result;
    }
  }

  private void waitFor(PinnedMemory.Slot slot) {
    synchronized (this) {
      makeCurrent();
      waits++;
    }
    int status = JCudaDriver.cuEventSynchronize(slot.event());
    synchronized (this) {
      check(status, "readback");
    }
  }

  /// Copies bytes to the host and waits: for guard words only, so that it is not counted.
  synchronized void readNow(long address, byte[] bytes) {
    makeCurrent();
    PinnedMemory.Slot slot = pinned.take(bytes.length);
    check(
        JCudaDriver.cuMemcpyDtoHAsync(
            slot.pointer(), CudaDriver.pointer(address), bytes.length, compute),
        "cuMemcpyDtoHAsync");
    check(JCudaDriver.cuStreamSynchronize(compute), "readNow");
    MemorySegment.copy(slot.segment(), JAVA_BYTE, 0, bytes, 0, bytes.length);
    pinned.give(slot);
  }

  // What the struct that was copied after the call `ticket` says; the device's is cleared.
  private synchronized @Nullable IndexOutOfBoundsException indexError(
      MemorySegment struct, int ticket) {
    indexErrors.observe(ticket);
    IndexOutOfBoundsException error = indexErrors.error(struct);
    if (error != null) {
      setBytes(errorAddress, IndexErrors.BYTES, (byte) 0);
    }
    return error;
  }

  /// Waits until all is done and reports errors.
  void synchronize() {
    PinnedMemory.Slot slot = null;
    int ticket;
    synchronized (this) {
      makeCurrent();
      waits++;
      ticket = indexErrors.latest();
      if (indexErrors.pending()) {
        slot = pinned.take(IndexErrors.BYTES);
        copyToHost(errorAddress, slot.pointer().address(), IndexErrors.BYTES, compute);
      }
    }
    int status = JCudaDriver.cuStreamSynchronize(compute);
    synchronized (this) {
      check(status, "synchronize");
      check(JCudaDriver.cuStreamSynchronize(copies), "synchronize");
      if (slot != null) {
        IndexOutOfBoundsException error = indexError(slot.segment(), ticket);
        pinned.give(slot);
        if (error != null) {
          throw error;
        }
      }
    }
  }

  synchronized boolean isOpen() {
    return !closed;
  }

  /// Waits, whatever the errors, before the device closes.
  synchronized void drain() {
    makeCurrent();
    int _ = JCudaDriver.cuStreamSynchronize(compute);
    int _ = JCudaDriver.cuStreamSynchronize(copies);
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    drain();
    memory.close();
    int _ = JCudaDriver.cuMemFree(CudaDriver.pointer(errorAddress));
    uploads.close();
    pinned.close();
    if (clock != null) {
      clock.close();
    }
    for (CUmodule module : modules.values()) {
      int _ = JCudaDriver.cuModuleUnload(module);
    }
    for (CUevent event : List.of(computeDone, copyDone)) {
      int _ = JCudaDriver.cuEventDestroy(event);
    }
    for (CUstream stream : List.of(compute, copies)) {
      int _ = JCudaDriver.cuStreamDestroy(stream);
    }
    closed = true;
    int _ = JCudaDriver.cuDevicePrimaryCtxRelease(handle);
    arena.close();
  }

  /// The type's number in the kernels.
  ///
  /// @throws DeviceException for F64, which GPUs here do not take
  static int type(NdArray x) {
    if (x.dtype() == DType.F64) {
      throw new DeviceException(
          "cuda: F64 is a type of the reference backend only; got "
              + x
              + "; need F32, BF16, F16, I32 or BOOL");
    }
    return x.dtype().ordinal();
  }
}
