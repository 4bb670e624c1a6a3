package fornax.cpu;

import fornax.array.DType;
import fornax.backend.AdamWSlot;
import fornax.backend.AttentionOptions;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.Compare;
import fornax.backend.Conv2dOptions;
import fornax.backend.CopyEvent;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.HostBlock;
import fornax.backend.HostBlocks;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Pool2dOptions;
import fornax.backend.Readback;
import fornax.backend.Reduce;
import fornax.backend.Settings;
import fornax.backend.SgdSlot;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The CPU as a device: says which kernel computes what. Calls return when their work is done.
///
/// Results have the same bits for any number of threads and at any time of the just-in-time
/// compilation.
final class CpuBackend implements Backend {
  private final Workers workers;
  private final MatmulProvider products;
  private final Memory memory = new Memory("cpu", new HostBlocks(), Settings.memoryLimit());

  CpuBackend(int threads) {
    this.workers = new Workers(threads);
    this.products = new MatmulProvider(workers);
  }

  Workers workers() {
    return workers;
  }

  void multiply(MatmulArgs args) {
    products.run(args);
  }

  @Override
  public String id() {
    return "cpu";
  }

  @Override
  public Memory memory() {
    return memory;
  }

  // ---- moving data

  @Override
  public void upload(MemorySegment source, NdArray y) {
    try (var _ = CopyEvent.upload(this, y)) {
      Copy.upload(source, y);
    }
  }

  @Override
  public Readback readback(NdArray x) {
    try (var _ = CopyEvent.readback(this, x)) {
      MemorySegment copy = Copy.readback(x);
      return () -> copy;
    }
  }

  @Override
  public void copy(NdArray x, NdArray y) {
    Copy.copy(workers, x, y);
  }

  @Override
  public void fill(NdArray y, double value) {
    Copy.fill(workers, y, value);
  }

  @Override
  public void range(NdArray y, double start, double step) {
    Copy.range(y, start, step);
  }

  // ---- elementwise

  @Override
  public void unary(Unary op, NdArray x, NdArray y) {
    Elementwise.unary(workers, op, x, y);
  }

  @Override
  public void unaryGradient(Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    Elementwise.unaryGradient(workers, op, x, y, dy, dx);
  }

  @Override
  public void binary(Binary op, NdArray a, NdArray b, NdArray y) {
    Elementwise.binary(workers, op, a, b, y);
  }

  @Override
  public void binary(Binary op, NdArray a, double b, NdArray y) {
    Elementwise.binary(workers, op, a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, NdArray b, NdArray y) {
    Elementwise.compare(workers, op, a, b, y);
  }

  @Override
  public void compare(Compare op, NdArray a, double b, NdArray y) {
    Elementwise.compare(workers, op, a, b, y);
  }

  @Override
  public void where(NdArray condition, NdArray a, NdArray b, NdArray y) {
    Elementwise.where(workers, condition, a, b, y);
  }

  // ---- reductions and scans

  @Override
  public void reduce(Reduce op, NdArray x, NdArray y) {
    Reduction.reduce(this, op, x, y);
  }

  @Override
  public void argmax(NdArray x, int axis, NdArray y) {
    Scan.argmax(workers, x, axis, y);
  }

  @Override
  public void cumulativeSum(NdArray x, int axis, NdArray y) {
    Scan.cumulativeSum(workers, x, axis, y);
  }

  @Override
  public void sort(NdArray x, boolean descending, NdArray values, NdArray indices) {
    Sort.sort(workers, x, descending, values, indices);
  }

  @Override
  public void topK(NdArray x, NdArray values, NdArray indices) {
    Sort.topK(workers, x, values, indices);
  }

  // ---- linear algebra

  @Override
  public void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate) {
    try (var floats = new F16Operands(this)) {
      NdArray sums = accumulate ? floats.changed(y) : floats.written(y);
      Linear.matmul(this, floats.read(a), floats.read(b), sums, accumulate);
    }
  }

  @Override
  public void linear(
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      NdArray y,
      @Nullable NdArray before) {
    if (Linear.fuses(activation)) {
      try (var floats = new F16Operands(this)) {
        NdArray result = floats.written(y);
        NdArray sums = before == null ? null : floats.written(before);
        NdArray added = bias == null ? null : floats.read(bias);
        Linear.forward(this, floats.read(x), floats.read(w), added, activation, result, sums);
      }
    } else {
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
    if (activation == null || before == null || y == null || dBias == null) {
      Backend.super.biasActivationGradient(activation, before, y, dy, dBefore, dBias, accumulate);
      return;
    }
    NdArray given = UnaryGradientKernels.usesResult(activation) ? y : before;
    Linear.gradient(this, activation, given, dy, dBefore, dBias, accumulate);
  }

  // ---- convolution

  @Override
  public void conv2d(
      NdArray x, NdArray w, @Nullable NdArray bias, Conv2dOptions options, NdArray y) {
    if (w.elements() == 0 || y.elements() == 0) {
      Backend.super.conv2d(x, w, bias, options, y);
    } else {
      Conv2d.forward(this, x, w, bias, options, y);
    }
  }

  @Override
  public void conv2dInputGradient(NdArray dy, NdArray w, Conv2dOptions options, NdArray dx) {
    if (w.elements() == 0 || dy.elements() == 0 || dx.elements() == 0) {
      Backend.super.conv2dInputGradient(dy, w, options, dx);
    } else {
      Conv2d.inputGradient(this, dy, w, options, dx);
    }
  }

  @Override
  public void conv2dWeightGradient(
      NdArray x, NdArray dy, Conv2dOptions options, NdArray dw, boolean accumulate) {
    if (dw.elements() == 0 || dy.elements() == 0) {
      Backend.super.conv2dWeightGradient(x, dy, options, dw, accumulate);
    } else {
      Conv2d.weightGradient(this, x, dy, options, dw, accumulate);
    }
  }

  // ---- pooling

  @Override
  public void maxPool2d(NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    Pool2d.max(this, x, options, y, places);
  }

  @Override
  public void maxPool2dGradient(NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    Pool2d.maxGradient(this, places, dy, options, dx);
  }

  @Override
  public void avgPool2d(NdArray x, Pool2dOptions options, NdArray y) {
    Pool2d.mean(this, x, options, y);
  }

  @Override
  public void avgPool2dGradient(NdArray dy, Pool2dOptions options, NdArray dx) {
    Pool2d.meanGradient(this, dy, options, dx);
  }

  // ---- by index

  @Override
  public void gather(NdArray x, int axis, NdArray indices, NdArray y) {
    Gather.gather(workers, x, axis, indices, y);
  }

  @Override
  public void scatterAdd(NdArray x, int axis, NdArray indices, NdArray y) {
    inFloat(y, sums -> Gather.scatterAdd(workers, x, axis, indices, sums));
  }

  @Override
  public void embedding(NdArray table, NdArray indices, NdArray y) {
    Embedding.forward(workers, table, indices, y);
  }

  @Override
  public void embeddingGradient(NdArray dy, NdArray indices, NdArray dTable) {
    inFloat(dTable, sums -> Embedding.gradient(workers, dy, indices, sums));
  }

  // Adds to `y` in F32, so that a sum in 16 bits is rounded once.
  private void inFloat(NdArray y, Consumer<NdArray> add) {
    if (!y.dtype().isHalf()) {
      add.accept(y);
      return;
    }
    try (var work = new Workspace(memory)) {
      NdArray sums = work.allocate(DType.F32, y.shape());
      copy(y, sums);
      add.accept(sums);
      copy(sums, y);
    }
  }

  // ---- randomness

  @Override
  public void random(NdArray state, int stream, NdArray y) {
    Dropout.random(workers, state, stream, y);
  }

  @Override
  public void dropout(NdArray x, double p, NdArray state, int stream, NdArray y) {
    Dropout.dropout(workers, x, p, state, stream, y);
  }

  // ---- softmax and normalisation

  @Override
  public void softmax(NdArray x, int axis, NdArray y) {
    Softmax.forward(this, x, axis, y);
  }

  @Override
  public void softmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    Softmax.gradient(this, y, dy, axis, dx);
  }

  @Override
  public void logSoftmax(NdArray x, int axis, NdArray y) {
    Softmax.logForward(this, x, axis, y);
  }

  @Override
  public void logSoftmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    Softmax.logGradient(this, y, dy, axis, dx);
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
    LayerNorm.forward(this, x, weight, bias, epsilon, y, mean, rstd);
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
    LayerNorm.gradient(this, x, weight, mean, rstd, dy, null, dx, dWeight, dBias, accumulate);
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
    LayerNorm.addForward(this, x, addend, weight, bias, epsilon, sum, y, mean, rstd);
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
    LayerNorm.gradient(this, x, weight, mean, rstd, dy, skip, dx, dWeight, dBias, accumulate);
  }

  @Override
  public void rmsNorm(
      NdArray x, @Nullable NdArray weight, double epsilon, NdArray y, NdArray rstd) {
    LayerNorm.forward(this, x, weight, null, epsilon, y, null, rstd);
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
    LayerNorm.gradient(this, x, weight, null, rstd, dy, null, dx, dWeight, null, accumulate);
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
    if (isFlash(q, v)) {
      try (var f = new F16Operands(this)) {
        AttentionArgs args =
            attentionArgs(f.read(q), f.read(k), f.read(v), mask, options, f.written(y), logSumExp);
        Attention.forward(workers, args);
      }
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
    if (isFlash(q, v)) {
      try (var f = new F16Operands(this)) {
        AttentionArgs args =
            attentionArgs(f.read(q), f.read(k), f.read(v), mask, options, f.read(y), logSumExp);
        var gradients =
            new AttentionArgs.Gradients(
                heads(f.read(dy)),
                heads(f.written(dq)),
                heads(f.written(dk)),
                heads(f.written(dv)));
        Attention.backward(workers, args, gradients);
      }
    } else {
      Backend.super.attentionGradient(q, k, v, mask, options, y, logSumExp, dy, dq, dk, dv);
    }
  }

  static boolean isFlash(NdArray q, NdArray v) {
    return q.elements() > 0 && v.elements() > 0;
  }

  private static AttentionArgs attentionArgs(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp) {
    var sizes =
        new AttentionArgs.Sizes(
            Math.toIntExact(q.dim(0)),
            Math.toIntExact(q.dim(1)),
            Math.toIntExact(q.dim(2)),
            Math.toIntExact(k.dim(2)),
            Math.toIntExact(q.dim(3)),
            Math.toIntExact(v.dim(3)));
    return new AttentionArgs(
        sizes,
        options.causal(),
        (float) options.scale(),
        AttentionFilter.of(mask, options.state(), options.stream(), options.dropout()),
        heads(q),
        heads(k),
        heads(v),
        heads(y),
        HostBlock.segment(logSumExp),
        4 * logSumExp.layout().offset());
  }

  private static HeadsView heads(NdArray x) {
    return new HeadsView(
        HostBlock.segment(x),
        x.dtype() == DType.BF16,
        x.layout().offset(),
        x.layout().stride(0),
        x.layout().stride(1),
        x.layout().stride(2));
  }

  // ---- losses

  @Override
  public void crossEntropy(
      NdArray x, NdArray targets, CrossEntropyOptions options, NdArray losses, NdArray logSumExp) {
    CrossEntropy.forward(workers, x, targets, options, losses, logSumExp);
  }

  @Override
  public void crossEntropyGradient(
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    CrossEntropy.gradient(workers, x, targets, options, logSumExp, dLosses, dx);
  }

  // ---- optimisers

  @Override
  public void globalNorm(List<NdArray> arrays, NdArray y) {
    GlobalNorm.norm(workers, arrays, y);
  }

  @Override
  public void clipScale(NdArray norm, double maxNorm, NdArray y) {
    GlobalNorm.clipScale(norm, maxNorm, y);
  }

  @Override
  public void adamW(List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    AdamW.step(workers, slots, factors, scale);
  }

  @Override
  public void sgd(List<SgdSlot> slots, NdArray factors, NdArray scale) {
    Sgd.step(workers, slots, factors, scale);
  }

  // ---- precision

  @Override
  public String bf16Matmul() {
    return products.ofBfloat16();
  }

  // ---- control

  @Override
  public void synchronize() {
    // every call has already waited for its work
  }

  @Override
  public void close() {
    workers.close();
    memory.close();
  }
}
