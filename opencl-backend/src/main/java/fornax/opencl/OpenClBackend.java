package fornax.opencl;

import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.KernelTime;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Readback;
import fornax.backend.Reduce;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Computes on an OpenCL device. Every method enqueues the kernels of its family's class.
final class OpenClBackend implements Backend {
  private static final double MEMORY_SHARE = 0.9; // the rest is for programs and the display

  private final String id;
  private final OpenClQueue queue;
  private final Memory memory;
  private final Elementwise elementwise;
  private final Reduction reduction;
  private final Scan scan;
  private final Sort sort;
  private final Matmul matmul;
  private final Gather gather;
  private final Dropout dropout;

  OpenClBackend(String id, OpenClDevice device) {
    this.id = id;
    this.queue = new OpenClQueue(device);
    this.memory = new Memory(id, queue, (long) (MEMORY_SHARE * device.globalBytes()));
    Tuning tuning = Tuning.of(device);
    elementwise = new Elementwise(queue, tuning);
    reduction = new Reduction(queue, tuning, memory);
    scan = new Scan(queue, tuning);
    sort = new Sort(queue, tuning, memory);
    matmul = new Matmul(queue, tuning);
    gather = new Gather(queue, tuning, elementwise, memory);
    dropout = new Dropout(queue, tuning);
  }

  @Override
  public String id() {
    return id;
  }

  @Override
  public Memory memory() {
    return memory;
  }

  OpenClQueue queue() {
    return queue;
  }

  // ---- moving data

  @Override
  public void upload(MemorySegment source, NdArray y) {
    queue.upload(source, y);
  }

  @Override
  public Readback readback(NdArray x) {
    return queue.readback(x);
  }

  @Override
  public void copy(NdArray x, NdArray y) {
    elementwise.copy(x, y);
  }

  @Override
  public void fill(NdArray y, double value) {
    elementwise.fill(y, value);
  }

  @Override
  public void range(NdArray y, double start, double step) {
    elementwise.range(y, start, step);
  }

  // ---- elementwise

  @Override
  public void unary(Unary op, NdArray x, NdArray y) {
    elementwise.unary(op, x, y);
  }

  @Override
  public void unaryGradient(Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    elementwise.unaryGradient(op, x, y, dy, dx);
  }

  @Override
  public void binary(Binary op, NdArray a, NdArray b, NdArray y) {
    elementwise.binary(op, a, b, y);
  }

  @Override
  public void binary(Binary op, NdArray a, double b, NdArray y) {
    elementwise.binary(op, a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, NdArray b, NdArray y) {
    elementwise.compare(op, a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, double b, NdArray y) {
    elementwise.compare(op, a, b, y);
  }

  @Override
  public void where(NdArray condition, NdArray a, NdArray b, NdArray y) {
    elementwise.where(condition, a, b, y);
  }

  // ---- reductions and scans

  @Override
  public void reduce(Reduce op, NdArray x, NdArray y) {
    reduction.reduce(op, x, y);
  }

  @Override
  public void argmax(NdArray x, int axis, NdArray y) {
    reduction.argmax(x, axis, y);
  }

  @Override
  public void cumulativeSum(NdArray x, int axis, NdArray y) {
    scan.cumulativeSum(x, axis, y);
  }

  @Override
  public void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    sort.sort(x, descending, values, indices);
  }

  // ---- linear algebra

  @Override
  public void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate) {
    matmul.matmul(a, b, y, accumulate);
  }

  // ---- by index

  @Override
  public void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    gather.gather(x, axis, indices, y);
  }

  @Override
  public void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    gather.scatterAdd(x, axis, indices, y);
  }

  // ---- randomness

  @Override
  public void random(NdArray state, int stream, NdArray y) {
    dropout.random(state, stream, y);
  }

  @Override
  public void dropout(NdArray x, double p, NdArray state, int stream, NdArray y) {
    dropout.dropout(x, p, state, stream, y);
  }

  // ---- control

  @Override
  public List<KernelTime> kernelTimes() {
    return queue.kernelTimes();
  }

  @Override
  public void synchronize() {
    queue.synchronize();
  }

  @Override
  public void close() {
    memory.close();
    queue.close();
  }
}
