package fornax.opencl;

import fornax.backend.AdamWSlot;
import fornax.backend.AttentionOptions;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.Conv2dOptions;
import fornax.backend.CopyEvent;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.DeviceException;
import fornax.backend.KernelTime;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.backend.Readback;
import fornax.backend.Reduce;
import fornax.backend.Settings;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Computes on an OpenCL device. Every method enqueues the kernels of its family's class.
final class OpenClBackend implements Backend {
  private static final double MEMORY_SHARE = 0.9; // the rest is for programs and the display

  private final String id;
  private final @Nullable ClBlast clBlast;
  private final OpenClQueue queue;
  private final Memory memory;
  private final Elementwise elementwise;
  private final Reduction reduction;
  private final Scan scan;
  private final Sort sort;
  private final Matmul matmul;
  private final Conv2d conv2d;
  private final Pool2d pool2d;
  private final Gather gather;
  private final Dropout dropout;
  private final Softmax softmax;
  private final LayerNorm layerNorm;
  private final ColumnSums columnSums;
  private final Attention attention;
  private final CrossEntropy crossEntropy;
  private final Embedding embedding;
  private final AdamW adamW;
  private final GlobalNorm globalNorm;

  OpenClBackend(String id, OpenClDevice device) {
    this(id, device, Tuning.of(device));
  }

  OpenClBackend(String id, OpenClDevice device, Tuning tuning) {
    this(id, device, tuning, chosenClBlast());
  }

  /// @param clBlast what multiplies F32 matrices, or null for our own kernels
  OpenClBackend(String id, OpenClDevice device, Tuning tuning, @Nullable ClBlast clBlast) {
    this.id = id;
    this.clBlast = clBlast;
    this.queue = new OpenClQueue(device);
    this.memory =
        new Memory(id, queue, Settings.memoryLimit((long) (MEMORY_SHARE * device.globalBytes())));
    elementwise = new Elementwise(queue, tuning);
    reduction = new Reduction(queue, tuning, memory);
    scan = new Scan(queue, tuning);
    sort = new Sort(queue, tuning, memory);
    matmul = new Matmul(queue, tuning, memory, clBlast);
    conv2d = new Conv2d(queue, tuning);
    pool2d = new Pool2d(queue, tuning);
    gather = new Gather(queue, tuning, elementwise, memory);
    dropout = new Dropout(queue, tuning);
    softmax = new Softmax(queue, tuning);
    columnSums = new ColumnSums(queue, tuning, memory);
    layerNorm = new LayerNorm(queue, tuning, memory, columnSums);
    attention = new Attention(queue, tuning, memory);
    crossEntropy = new CrossEntropy(queue, tuning);
    embedding = new Embedding(queue, tuning, sort, memory);
    adamW = new AdamW(queue, tuning);
    globalNorm = new GlobalNorm(queue, tuning, memory);
  }

  /// The library that `-Dfornax.opencl.matmul` asks for. `auto` is our own: see docs/opencl.md.
  static @Nullable ClBlast chosenClBlast() {
    if (Settings.openClMatmul() != Settings.OpenClMatmul.CLBLAST) {
      return null;
    }
    ClBlast found = ClBlast.find();
    if (found == null) {
      throw new DeviceException(
          "device: -Dfornax.opencl.matmul=clblast; got no library of CLBlast 1.5 or newer; "
              + ClBlast.FIX
              + ", or -Dfornax.opencl.matmul=own");
    }
    return found;
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
    try (var _ = CopyEvent.upload(this, y)) {
      queue.upload(source, y);
    }
  }

  @Override
  public Readback readback(NdArray x) {
    try (var _ = CopyEvent.readback(this, x)) {
      return queue.readback(x);
    }
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

  @Override
  public void linear(
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      NdArray y,
      @Nullable NdArray before) {
    if (matmul.usesClBlast(x, w, y)) {
      Backend.super.linear(x, w, bias, activation, y, before);
    } else {
      matmul.linear(x, w, bias, activation, y, before);
    }
  }

  @Override
  public void biasActivationGradient(
      @Nullable Unary activation,
      @Nullable NdArray before,
      @Nullable NdArray y,
      NdArray dy,
      NdArray dBefore,
      @Nullable NdArray dBias,
      boolean accumulate) {
    columnSums.biasActivationGradient(activation, before, y, dy, dBefore, dBias, accumulate);
  }

  // ---- softmax and normalisation

  @Override
  public void softmax(NdArray x, int axis, NdArray y) {
    softmax.softmax(false, x, axis, y);
  }

  @Override
  public void softmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    softmax.gradient(false, y, dy, axis, dx);
  }

  @Override
  public void logSoftmax(NdArray x, int axis, NdArray y) {
    softmax.softmax(true, x, axis, y);
  }

  @Override
  public void logSoftmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    softmax.gradient(true, y, dy, axis, dx);
  }

  @Override
  public void layerNorm(
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    layerNorm.normalize(null, null, x, weight, bias, epsilon, y, mean, rstd);
  }

  @Override
  public void layerNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray mean,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    layerNorm.gradient(x, weight, mean, rstd, dy, null, dx, dWeight, dBias, accumulate);
  }

  @Override
  public void addLayerNorm(
      NdArray x,
      NdArray addend,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray sum,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    layerNorm.normalize(x, addend, sum, weight, bias, epsilon, y, mean, rstd);
  }

  @Override
  public void addLayerNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray mean,
      NdArray rstd,
      NdArray dy,
      NdArray skip,
      NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    layerNorm.gradient(x, weight, mean, rstd, dy, skip, dx, dWeight, dBias, accumulate);
  }

  @Override
  public void rmsNorm(
      NdArray x, @Nullable NdArray weight, double epsilon, NdArray y, NdArray rstd) {
    layerNorm.normalize(null, null, x, weight, null, epsilon, y, null, rstd);
  }

  @Override
  public void rmsNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      boolean accumulate) {
    layerNorm.gradient(x, weight, null, rstd, dy, null, dx, dWeight, null, accumulate);
  }

  // ---- attention

  @Override
  public void attention(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp) {
    if (attention.fits(q, v)) {
      attention.attention(q, k, v, mask, options, y, logSumExp);
    } else {
      Backend.super.attention(q, k, v, mask, options, y, logSumExp);
    }
  }

  @Override
  public void attentionGradient(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp,
      NdArray dy,
      NdArray dq,
      NdArray dk,
      NdArray dv) {
    if (attention.fits(q, v)) {
      attention.gradient(q, k, v, mask, options, y, logSumExp, dy, dq, dk, dv);
    } else {
      Backend.super.attentionGradient(q, k, v, mask, options, y, logSumExp, dy, dq, dk, dv);
    }
  }

  // ---- losses

  @Override
  public void crossEntropy(
      NdArray x, NdArray targets, CrossEntropyOptions options, NdArray losses, NdArray logSumExp) {
    crossEntropy.crossEntropy(x, targets, options, losses, logSumExp);
  }

  @Override
  public void crossEntropyGradient(
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    crossEntropy.gradient(x, targets, options, logSumExp, dLosses, dx);
  }

  // ---- convolution and pooling

  @Override
  public void unfold2d(NdArray x, Conv2dOptions options, NdArray columns) {
    if (Conv2d.unfolds(columns)) {
      conv2d.unfold(x, options, columns);
    } else {
      Backend.super.unfold2d(x, options, columns);
    }
  }

  @Override
  public void fold2d(NdArray columns, Conv2dOptions options, NdArray x) {
    conv2d.fold(columns, options, x);
  }

  @Override
  public void maxPool2d(NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    pool2d.max(x, options, y, places);
  }

  @Override
  public void maxPool2dGradient(NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    pool2d.maxGradient(places, dy, options, dx);
  }

  @Override
  public void avgPool2d(NdArray x, Pool2dOptions options, NdArray y) {
    pool2d.mean(x, options, y);
  }

  @Override
  public void avgPool2dGradient(NdArray dy, Pool2dOptions options, NdArray dx) {
    pool2d.meanGradient(dy, options, dx);
  }

  // ---- by index

  @Override
  public void embedding(NdArray table, NdArray indices, NdArray y) {
    embedding.embedding(table, indices, y);
  }

  @Override
  public void embeddingGradient(NdArray dy, NdArray indices, NdArray dTable) {
    embedding.gradient(dy, indices, dTable);
  }

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

  // ---- optimisers

  @Override
  public void globalNorm(List<NdArray> arrays, NdArray y) {
    globalNorm.norm(arrays, y);
  }

  @Override
  public void clipScale(NdArray norm, double maxNorm, NdArray y) {
    globalNorm.clipScale(norm, maxNorm, y);
  }

  @Override
  public void adamW(List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    adamW.step(slots, factors, scale);
  }

  // ---- control

  @Override
  public List<KernelTime> kernelTimes() {
    return queue.kernelTimes();
  }

  @Override
  public boolean hasKernelClock() {
    return true;
  }

  @Override
  public void synchronize() {
    queue.synchronize();
  }

  @Override
  public void close() {
    memory.close();
    queue.close();
    if (clBlast != null) {
      clBlast.clearCache();
    }
  }
}
