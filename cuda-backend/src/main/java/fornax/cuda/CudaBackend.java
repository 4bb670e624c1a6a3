package fornax.cuda;

import fornax.backend.AdamWSlot;
import fornax.backend.AttentionOptions;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.Conv2dOptions;
import fornax.backend.CopyEvent;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.KernelTime;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.backend.Readback;
import fornax.backend.Reduce;
import fornax.backend.Replay;
import fornax.backend.Settings;
import fornax.backend.SgdSlot;
import fornax.backend.Unary;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// One NVIDIA card. Calls enqueue on its compute stream and return; only a readback's `await` and
/// [#synchronize()] wait. Operands that a fused kernel does not take (mixed types, mostly) fall
/// back to the default body.
final class CudaBackend implements Backend {
  /// Each chunk of logits adds to the whole gradient of the table, so few chunks: up to 1 GB of F32
  /// logits on a large card.
  private static final long MOST_CHUNK_ELEMENTS = 1L << 28;

  static final long ROW_MULTIPLE = 128;

  /// Up to here the k largest are found by k passes, beyond by a sort.
  private static final long TOP_K_PASSES = 64;

  private final CudaDevice device;
  private final Elementwise elementwise;
  private final Reduction reduction;
  private final Normalization normalization;
  private final Indexing indexing;
  private final Matmul matmul;
  private final Attention attention;
  private final Conv2d conv2d;
  private final Pool2d pool2d;
  private final Optimizers optimizers;

  CudaBackend(CudaDevice device) {
    this.device = device;
    elementwise = new Elementwise(device);
    reduction = new Reduction(device);
    normalization = new Normalization(device);
    indexing = new Indexing(device, elementwise, reduction);
    matmul = new Matmul(device, elementwise, normalization, CudaProbe.get().cublasLibrary.found());
    attention = new Attention(device);
    conv2d = new Conv2d(device);
    pool2d = new Pool2d(device);
    optimizers = new Optimizers(device);
  }

  /// The card, for tests that count.
  CudaDevice device() {
    return device;
  }

  @Override
  public String id() {
    return device.id();
  }

  @Override
  public Memory memory() {
    return device.memory();
  }

  // ---- moving data

  @Override
  public void upload(MemorySegment source, NdArray y) {
    if (y.elements() > 0) {
      try (var _ = CopyEvent.upload(this, y)) {
        device.upload(source.asSlice(0, y.bytes()), CudaBlock.address(y));
      }
    }
  }

  @Override
  public Readback readback(NdArray x) {
    try (var _ = CopyEvent.readback(this, x)) {
      return device.readback(x);
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
    if (!elementwise.unaryGradient(op, x, y, dy, dx)) {
      Backend.super.unaryGradient(op, x, y, dy, dx);
    }
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
    reduction.cumulativeSum(x, axis, y);
  }

  @Override
  public void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    reduction.sort(x, descending, values, indices);
  }

  @Override
  public void topK(NdArray x, NdArray values, NdArray indices) {
    if (values.dim(-1) <= TOP_K_PASSES) {
      reduction.topK(x, values, indices);
    } else {
      Backend.super.topK(x, values, indices);
    }
  }

  // ---- linear algebra

  @Override
  public void multiplyInTf32(boolean wanted) {
    matmul.multiplyInTf32(wanted);
  }

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
    if (!matmul.linear(x, w, bias, activation, y, before)) {
      Backend.super.linear(x, w, bias, activation, y, before);
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
    if (!matmul.biasActivationGradient(activation, before, y, dy, dBefore, dBias, accumulate)) {
      Backend.super.biasActivationGradient(activation, before, y, dy, dBefore, dBias, accumulate);
    }
  }

  @Override
  public void attention(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp) {
    var arrays = new Attention.Arrays(q, k, v, mask, y, logSumExp, null, null, null, null);
    if (!attention.attention(arrays, options)) {
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
    var arrays = new Attention.Arrays(q, k, v, mask, y, logSumExp, dy, dq, dk, dv);
    if (!attention.attentionGradient(arrays, options)) {
      Backend.super.attentionGradient(q, k, v, mask, options, y, logSumExp, dy, dq, dk, dv);
    }
  }

  // ---- by rows

  @Override
  public void softmax(NdArray x, int axis, NdArray y) {
    if (!normalization.softmax("softmax", x, axis, y)) {
      Backend.super.softmax(x, axis, y);
    }
  }

  @Override
  public void softmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    if (!normalization.softmaxGradient("softmax", y, dy, axis, dx)) {
      Backend.super.softmaxGradient(y, dy, axis, dx);
    }
  }

  @Override
  public void logSoftmax(NdArray x, int axis, NdArray y) {
    if (!normalization.softmax("log_softmax", x, axis, y)) {
      Backend.super.logSoftmax(x, axis, y);
    }
  }

  @Override
  public void logSoftmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    if (!normalization.softmaxGradient("log_softmax", y, dy, axis, dx)) {
      Backend.super.logSoftmaxGradient(y, dy, axis, dx);
    }
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
    if (!normalization.layerNorm(x, weight, bias, epsilon, y, mean, rstd)) {
      Backend.super.layerNorm(x, weight, bias, epsilon, y, mean, rstd);
    }
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
    if (!normalization.layerNormGradient(
        x, weight, mean, rstd, dy, null, dx, dWeight, dBias, accumulate)) {
      Backend.super.layerNormGradient(x, weight, mean, rstd, dy, dx, dWeight, dBias, accumulate);
    }
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
    if (!normalization.addLayerNorm(x, addend, weight, bias, epsilon, sum, y, mean, rstd)) {
      Backend.super.addLayerNorm(x, addend, weight, bias, epsilon, sum, y, mean, rstd);
    }
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
    if (!normalization.layerNormGradient(
        x, weight, mean, rstd, dy, skip, dx, dWeight, dBias, accumulate)) {
      Backend.super.addLayerNormGradient(
          x, weight, mean, rstd, dy, skip, dx, dWeight, dBias, accumulate);
    }
  }

  @Override
  public void rmsNorm(
      NdArray x, @Nullable NdArray weight, double epsilon, NdArray y, NdArray rstd) {
    if (!normalization.rmsNorm(x, weight, epsilon, y, rstd)) {
      Backend.super.rmsNorm(x, weight, epsilon, y, rstd);
    }
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
    if (!normalization.rmsNormGradient(x, weight, rstd, dy, dx, dWeight, accumulate)) {
      Backend.super.rmsNormGradient(x, weight, rstd, dy, dx, dWeight, accumulate);
    }
  }

  @Override
  public void crossEntropy(
      NdArray x, NdArray targets, CrossEntropyOptions options, NdArray losses, NdArray logSumExp) {
    if (!normalization.crossEntropy(x, targets, options, losses, logSumExp)) {
      Backend.super.crossEntropy(x, targets, options, losses, logSumExp);
    }
  }

  @Override
  public void crossEntropyGradient(
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    if (!normalization.crossEntropyGradient(x, targets, options, logSumExp, dLosses, dx)) {
      Backend.super.crossEntropyGradient(x, targets, options, logSumExp, dLosses, dx);
    }
  }

  // ---- convolution and pooling

  @Override
  public void unfold2d(NdArray x, Conv2dOptions options, NdArray columns) {
    if (!conv2d.unfold(x, options, columns)) {
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
  public void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    indexing.gather(x, axis, indices, y);
  }

  @Override
  public void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    indexing.scatterAdd("scatterAdd", x, axis, indices, y);
  }

  @Override
  public void embedding(NdArray table, NdArray indices, NdArray y) {
    if (!indexing.embedding(table, indices, y)) {
      Backend.super.embedding(table, indices, y);
    }
  }

  @Override
  public void embeddingGradient(NdArray dy, NdArray indices, NdArray dTable) {
    indexing.embeddingGradient(dy, indices, dTable);
  }

  // ---- randomness

  @Override
  public void random(NdArray state, int stream, NdArray y) {
    elementwise.random(state, stream, y);
  }

  @Override
  public void dropout(NdArray x, double p, NdArray state, int stream, NdArray y) {
    if (!elementwise.dropout(x, p, state, stream, y)) {
      Backend.super.dropout(x, p, state, stream, y);
    }
  }

  // ---- optimisers

  @Override
  public void globalNorm(List<NdArray> arrays, NdArray y) {
    if (!optimizers.globalNorm(arrays, y)) {
      Backend.super.globalNorm(arrays, y);
    }
  }

  @Override
  public void adamW(List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    optimizers.adamW(slots, factors, scale);
  }

  @Override
  public void sgd(List<SgdSlot> slots, NdArray factors, NdArray scale) {
    optimizers.sgd(slots, factors, scale);
  }

  @Override
  public void clipScale(NdArray norm, double maxNorm, NdArray y) {
    optimizers.clipScale(norm, maxNorm, y);
  }

  @Override
  public long chunkElements() {
    return chunkElements(memory().limit());
  }

  static long chunkElements(long memoryLimit) {
    return Math.clamp(memoryLimit / 128, 1L << 24, MOST_CHUNK_ELEMENTS);
  }

  /// So that each row of logits begins at a multiple of 16 bytes, where `cp.async` and cuBLAS's
  /// fastest kernels read it, and a vocabulary of 50,257 lies in rows of 50,304.
  @Override
  public long rowPitch(long columns) {
    return (columns + ROW_MULTIPLE - 1) / ROW_MULTIPLE * ROW_MULTIPLE;
  }

  // ---- control

  @Override
  public List<KernelTime> kernelTimes() {
    return device.kernelTimes();
  }

  @Override
  public boolean hasKernelClock() {
    return true;
  }

  @Override
  public Replay capture(Runnable step) {
    return Settings.cudaGraphs() && !Settings.check() && !Settings.profile()
        ? CudaReplay.of(device, step)
        : Backend.super.capture(step);
  }

  @Override
  public void synchronize() {
    device.synchronize();
  }

  @Override
  public void close() {
    if (device.isOpen()) {
      device.drain();
      matmul.close();
      optimizers.close();
      device.close();
    }
  }
}
