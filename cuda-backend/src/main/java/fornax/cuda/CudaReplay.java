package fornax.cuda;

import fornax.backend.Memory;
import fornax.backend.Replay;
import jcuda.driver.CUgraphExec;
import org.jspecify.annotations.Nullable;

/// Work that was captured as a CUDA graph: one call of the driver enqueues it all. The memory it
/// was recorded with is its own until it is closed.
final class CudaReplay implements Replay {
  private final CudaDevice device;
  private final CUgraphExec graph;
  private final Memory.Reservation memory;
  private final boolean withIndices;
  private boolean closed;

  private CudaReplay(
      CudaDevice device, CUgraphExec graph, Memory.Reservation memory, boolean withIndices) {
    this.device = device;
    this.graph = graph;
    this.memory = memory;
    this.withIndices = withIndices;
  }

  /// Records what `step` enqueues.
  static CudaReplay of(CudaDevice device, Runnable step) {
    int ticket = device.indexErrors().latest();
    device.beginCapture();
    Memory.Reservation memory = null;
    CUgraphExec graph = null;
    RuntimeException failure = null;
    try {
      memory = device.memory().reserve();
      step.run();
    } catch (RuntimeException e) {
      failure = e;
    }
    try {
      graph = device.endCapture();
    } catch (RuntimeException e) {
      failure = failure == null ? e : failure;
    }
    if (failure != null || memory == null || graph == null) {
      discard(device, memory, graph);
      throw failure == null ? new IllegalStateException("capture: nothing was recorded") : failure;
    }
    memory.stop();
    return new CudaReplay(device, graph, memory, device.indexErrors().latest() != ticket);
  }

  private static void discard(
      CudaDevice device, Memory.@Nullable Reservation memory, @Nullable CUgraphExec graph) {
    if (graph != null) {
      device.destroy(graph);
    }
    if (memory != null) {
      memory.close();
    }
  }

  @Override
  public void run() {
    if (closed) {
      throw new IllegalStateException("replay: it has been closed");
    }
    device.launch(graph, withIndices);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      discard(device, memory, graph);
    }
  }
}
