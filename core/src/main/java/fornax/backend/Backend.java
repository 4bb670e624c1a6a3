package fornax.backend;

import static fornax.backend.Binary.ADD;
import static fornax.backend.Binary.DIVIDE;
import static fornax.backend.Binary.MINIMUM;
import static fornax.backend.Binary.MULTIPLY;
import static fornax.backend.Binary.SUBTRACT;
import static fornax.backend.Reduce.MAX;
import static fornax.backend.Reduce.SUM;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The fused operations. Each has a default body made of [Primitives], which is its definition; a
/// backend overrides those that it can do faster. [Decomposed] runs the default bodies on any
/// backend, as the oracle for its fused kernels.
///
/// The rules of [Primitives] hold. Gradients are functions like others: they get what the forward
/// function saved.
public interface Backend extends Primitives {
  // ---- elementwise gradients

  /// `dx = dy·op′(x)`; `y = op(x)` is given too, for the functions whose derivative is cheaper in
  /// y. May write over dy.
  default void unaryGradient(Unary op, NdArray x, NdArray y, NdArray dy, NdArray dx) {
    Gradients.unary(this, op, x, y, dy, dx);
  }

  // ---- softmax

  /// `y = exp(x − m) / Σ exp(x − m)`, `m = max(x)` over `axis`. x and y are contiguous. A row of −∞
  /// gives NaN. Source: arXiv:1805.02867, algorithm 2.
  default void softmax(NdArray x, int axis, NdArray y) {
    try (var work = new Workspace(memory())) {
      NdArray row = work.allocate(arithmetic(x), x.shape().with(axis, 1));
      NdArray e = work.allocate(arithmetic(x), x.shape());
      reduce(MAX, x, row);
      binary(SUBTRACT, x, row.expand(x.shape()), e);
      unary(Unary.EXP, e, e);
      reduce(SUM, e, row);
      binary(DIVIDE, e, row.expand(x.shape()), y);
    }
  }

  /// `dx = y ⊙ (dy − Σ dy⊙y)`. All contiguous.
  default void softmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    try (var work = new Workspace(memory())) {
      NdArray product = work.allocate(arithmetic(y), y.shape());
      NdArray row = work.allocate(arithmetic(y), y.shape().with(axis, 1));
      binary(MULTIPLY, dy, y, product);
      reduce(SUM, product, row);
      binary(SUBTRACT, dy, row.expand(y.shape()), product);
      binary(MULTIPLY, product, y, dx);
    }
  }

  /// `y = x − m − log Σ exp(x − m)`. x and y are contiguous.
  default void logSoftmax(NdArray x, int axis, NdArray y) {
    try (var work = new Workspace(memory())) {
      NdArray row = work.allocate(arithmetic(x), x.shape().with(axis, 1));
      NdArray shifted = work.allocate(arithmetic(x), x.shape());
      NdArray e = work.allocate(arithmetic(x), x.shape());
      reduce(MAX, x, row);
      binary(SUBTRACT, x, row.expand(x.shape()), shifted);
      unary(Unary.EXP, shifted, e);
      reduce(SUM, e, row);
      unary(Unary.LOG, row, row);
      binary(SUBTRACT, shifted, row.expand(x.shape()), y);
    }
  }

  /// `dx = dy − exp(y)·Σ dy`. All contiguous.
  default void logSoftmaxGradient(NdArray y, NdArray dy, int axis, NdArray dx) {
    try (var work = new Workspace(memory())) {
      NdArray p = work.allocate(arithmetic(y), y.shape());
      NdArray row = work.allocate(arithmetic(y), y.shape().with(axis, 1));
      unary(Unary.EXP, y, p);
      reduce(SUM, dy, row);
      binary(MULTIPLY, p, row.expand(y.shape()), p);
      binary(SUBTRACT, dy, p, dx);
    }
  }

  // ---- normalisation

  /// `y = (x − mean)·rstd·weight + bias` over the last axis, `rstd = 1/√(variance + epsilon)`,
  /// variance over n. Shapes: `x, y [N, C]; weight, bias [C]; mean, rstd [N]`, all contiguous; mean
  /// and rstd are F32 (F64 if x is). What is left of the mean in `x − mean`, because it was
  /// rounded, is taken away too, here and in the gradient: where the mean is 1000 times the
  /// deviation it would be an error of 5e-5. Source: arXiv:1607.06450.
  default void layerNorm(
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    long columns = x.dim(1);
    NdArray meanColumn = column(mean);
    NdArray rstdColumn = column(rstd);
    try (var work = new Workspace(memory())) {
      NdArray centred = work.allocate(arithmetic(x), x.shape());
      NdArray square = work.allocate(arithmetic(x), x.shape());
      reduce(SUM, x, meanColumn);
      binary(MULTIPLY, mean, 1.0 / columns, mean);
      Gradients.centre(this, work, x, meanColumn, centred);
      unary(Unary.SQUARE, centred, square);
      reduce(SUM, square, rstdColumn);
      binary(MULTIPLY, rstd, 1.0 / columns, rstd);
      binary(ADD, rstd, epsilon, rstd);
      unary(Unary.RSQRT, rstd, rstd);
      Gradients.scaleRows(this, centred, rstdColumn, weight, bias, y);
    }
  }

  /// With `x̂ = (x − mean)·rstd` and `g = dy ⊙ weight`: `dx = rstd·(g − mean(g) − x̂·mean(g ⊙
  /// x̂))`, `dWeight = Σ dy ⊙ x̂`, `dBias = Σ dy` over rows. A gradient that is null is not wanted;
  /// dWeight and dBias are added to if `accumulate`.
  default void layerNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray mean,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    NdArray rstdRows = column(rstd).expand(x.shape());
    try (var work = new Workspace(memory())) {
      NdArray normal = work.allocate(arithmetic(x), x.shape());
      NdArray product = work.allocate(arithmetic(x), x.shape());
      Gradients.centre(this, work, x, column(mean), normal);
      binary(MULTIPLY, normal, rstdRows, normal);
      if (dWeight != null) {
        binary(MULTIPLY, dy, normal, product);
        Gradients.sumRows(this, work, product, dWeight, accumulate);
      }
      if (dBias != null) {
        Gradients.sumRows(this, work, dy, dBias, accumulate);
      }
      if (dx != null) {
        NdArray g = Gradients.weighted(this, work, dy, weight);
        NdArray row = work.allocate(arithmetic(x), Shape.of(x.dim(0), 1));
        binary(MULTIPLY, g, normal, product);
        reduce(SUM, product, row);
        binary(MULTIPLY, row, 1.0 / x.dim(1), row);
        binary(MULTIPLY, normal, row.expand(x.shape()), normal);
        reduce(SUM, g, row);
        binary(MULTIPLY, row, 1.0 / x.dim(1), row);
        binary(SUBTRACT, g, row.expand(x.shape()), product);
        binary(SUBTRACT, product, normal, product);
        binary(MULTIPLY, product, rstdRows, dx);
      }
    }
  }

  /// A residual stream and its layer norm in one: `sum = x + addend`, and `y`, mean and rstd as
  /// [#layerNorm(NdArray, NdArray, NdArray, double, NdArray, NdArray, NdArray)] has them of sum.
  /// Shapes: `x, addend, sum, y [N, C]; weight, bias [C]; mean, rstd [N]`, all contiguous.
  default void addLayerNorm(
      NdArray x,
      NdArray addend,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray sum,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    binary(ADD, x, addend, sum);
    layerNorm(sum, weight, bias, epsilon, y, mean, rstd);
  }

  /// The layer norm's gradient with the one that reached x elsewhere, `skip`, added: `dx = skip +`
  /// that of [#layerNormGradient(NdArray, NdArray, NdArray, NdArray, NdArray, NdArray, NdArray,
  /// NdArray, boolean)], which has the other arguments. dx may be skip itself.
  default void addLayerNormGradient(
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
    try (var work = new Workspace(memory())) {
      NdArray own = work.allocate(arithmetic(x), x.shape());
      layerNormGradient(x, weight, mean, rstd, dy, own, dWeight, dBias, accumulate);
      binary(ADD, skip, own, dx);
    }
  }

  /// `y = x·rstd·weight` over the last axis, `rstd = 1/√(mean(x²) + epsilon)`. Shapes as in
  /// [#layerNorm(NdArray, NdArray, NdArray, double, NdArray, NdArray, NdArray)]. Source:
  /// arXiv:1910.07467.
  default void rmsNorm(
      NdArray x, @Nullable NdArray weight, double epsilon, NdArray y, NdArray rstd) {
    NdArray rstdColumn = column(rstd);
    try (var work = new Workspace(memory())) {
      NdArray square = work.allocate(arithmetic(x), x.shape());
      unary(Unary.SQUARE, x, square);
      reduce(SUM, square, rstdColumn);
      binary(MULTIPLY, rstd, 1.0 / x.dim(1), rstd);
      binary(ADD, rstd, epsilon, rstd);
      unary(Unary.RSQRT, rstd, rstd);
      Gradients.scaleRows(this, x, rstdColumn, weight, null, y);
    }
  }

  /// With `x̂ = x·rstd` and `g = dy ⊙ weight`: `dx = rstd·(g − x̂·mean(g ⊙ x̂))`, `dWeight = Σ dy ⊙
  /// x̂` over rows. A gradient that is null is not wanted; dWeight is added to if `accumulate`.
  default void rmsNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      boolean accumulate) {
    NdArray rstdRows = column(rstd).expand(x.shape());
    try (var work = new Workspace(memory())) {
      NdArray normal = work.allocate(arithmetic(x), x.shape());
      NdArray product = work.allocate(arithmetic(x), x.shape());
      binary(MULTIPLY, x, rstdRows, normal);
      if (dWeight != null) {
        binary(MULTIPLY, dy, normal, product);
        Gradients.sumRows(this, work, product, dWeight, accumulate);
      }
      if (dx != null) {
        NdArray g = Gradients.weighted(this, work, dy, weight);
        NdArray row = work.allocate(arithmetic(x), Shape.of(x.dim(0), 1));
        binary(MULTIPLY, g, normal, product);
        reduce(SUM, product, row);
        binary(MULTIPLY, row, 1.0 / x.dim(1), row);
        binary(MULTIPLY, normal, row.expand(x.shape()), normal);
        binary(SUBTRACT, g, normal, product);
        binary(MULTIPLY, product, rstdRows, dx);
      }
    }
  }

  /// `y = (x − mean)·rstd·weight + bias` by channels, mean and variance (over n) being those of all
  /// of a channel's elements, and `rstd = 1/√(variance + epsilon)`. Shapes: `x, y [N, C, L];
  /// weight, bias, mean, variance [C]`, all contiguous; mean and variance are F32 (F64 if x is).
  /// What the rounding of the mean leaves is taken away as by [#layerNorm(NdArray, NdArray,
  /// NdArray, double, NdArray, NdArray, NdArray)]. Source: arXiv:1502.03167.
  default void batchNorm(
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      NdArray mean,
      NdArray variance) {
    BatchNormBody.forward(this, x, weight, bias, epsilon, y, mean, variance);
  }

  /// With `x̂ = (x − mean)·rstd`: `dx = rstd·weight·(dy − mean(dy) − x̂·mean(dy ⊙ x̂))`, `dWeight =
  /// Σ dy ⊙ x̂`, `dBias = Σ dy`, means and sums over a channel's elements. A gradient that is null
  /// is not wanted; dWeight and dBias are added to if `accumulate`.
  default void batchNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      double epsilon,
      NdArray mean,
      NdArray variance,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    BatchNormBody.gradient(
        this, x, weight, epsilon, mean, variance, dy, dx, dWeight, dBias, accumulate);
  }

  // ---- linear layer

  /// `y = activation(x·w + bias)`. Shapes: `x [N, K], w [K, M], bias [M] → y, before [N, M]`; x and
  /// w may be transposed views, y and before are contiguous. `before`, where not null, gets `x·w +
  /// bias`. Null bias or activation: none.
  default void linear(
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      NdArray y,
      @Nullable NdArray before) {
    try (var work = new Workspace(memory())) {
      NdArray sum = before == null ? y : before;
      if (sum.dtype() != arithmetic(sum)) { // so that each result is rounded once
        sum = work.allocate(arithmetic(sum), sum.shape());
      }
      matmul(x, w, sum, false);
      if (bias != null) {
        binary(ADD, sum, bias.expand(sum.shape()), sum);
      }
      if (before != null && before != sum) {
        copy(sum, before);
      }
      if (activation != null) {
        unary(activation, sum, y);
      } else if (y != sum) {
        copy(sum, y);
      }
    }
  }

  /// The gradient that reaches `x·w + bias` and, summed over rows, `bias`: `dBefore = dy ⊙
  /// activation′(before)`, `dBias = Σ dBefore`. Shapes: `before, y, dy, dBefore [N, M]; dBias [M]`,
  /// contiguous; dBefore may be dy itself, and must be where the activation is null (which needs no
  /// before and y). dBias is added to if `accumulate`; null: not wanted.
  default void biasActivationGradient(
      @Nullable Unary activation,
      @Nullable NdArray before,
      @Nullable NdArray y,
      NdArray dy,
      NdArray dBefore,
      @Nullable NdArray dBias,
      boolean accumulate) {
    if (activation != null && before != null && y != null) {
      unaryGradient(activation, before, y, dy, dBefore);
    }
    if (dBias != null) {
      try (var work = new Workspace(memory())) {
        Gradients.sumRows(this, work, dBefore, dBias, accumulate);
      }
    }
  }

  // ---- convolution

  /// `y[n, o, i, j] = bias[o] + Σ x[n, c, i·stride + r·dilation − padding, ..]·w[o, c, r, s]` over
  /// the channels c of o's group and the filter's rows r and columns s; outside the image x is 0.
  /// (A convolution in this field's sense: the filter is not turned round.) Shapes: `x [N, C, H,
  /// W], w [O, C/groups, h, w], bias [O] → y [N, O, H', W']` with `H' = ⌊(H + 2·padding −
  /// dilation·(h − 1) − 1)/stride⌋ + 1`, all contiguous. Source: arXiv:1603.07285.
  default void conv2d(
      NdArray x, NdArray w, @Nullable NdArray bias, Conv2dOptions options, NdArray y) {
    Conv2dBody.forward(this, x, w, bias, options, y);
  }

  /// The gradient of [#conv2d(NdArray, NdArray, NdArray, Conv2dOptions, NdArray)] in x: each
  /// element of dy, times the filter, added where the filter saw x. All contiguous.
  default void conv2dInputGradient(NdArray dy, NdArray w, Conv2dOptions options, NdArray dx) {
    Conv2dBody.inputGradient(this, dy, w, options, dx);
  }

  /// The gradient of [#conv2d(NdArray, NdArray, NdArray, Conv2dOptions, NdArray)] in w, the sum of
  /// `dy·x` over images and positions; added to dw if `accumulate`. All contiguous.
  default void conv2dWeightGradient(
      NdArray x, NdArray dy, Conv2dOptions options, NdArray dw, boolean accumulate) {
    Conv2dBody.weightGradient(this, x, dy, options, dw, accumulate);
  }

  /// The gradient of [#conv2d(NdArray, NdArray, NdArray, Conv2dOptions, NdArray)] in the bias:
  /// `dBias [O] = Σ dy` over images and positions; added to dBias if `accumulate`. All contiguous.
  default void conv2dBiasGradient(NdArray dy, NdArray dBias, boolean accumulate) {
    Gradients.sumChannels(this, dy, dBias, accumulate);
  }

  /// `columns` = what each element of the filter meets at each position, 0 outside the images: what
  /// the default bodies of convolution multiply the filters by. Shapes: `x [N, C, H, W]`,
  /// contiguous, `→ columns [N, C, h, w, H', W']` of any layout.
  default void unfold2d(NdArray x, Conv2dOptions options, NdArray columns) {
    Conv2dBody.unfold(this, x, options, columns);
  }

  /// `x` = the sum of what [#unfold2d(NdArray, Conv2dOptions, NdArray)] would take from each
  /// element: its gradient. Both contiguous.
  default void fold2d(NdArray columns, Conv2dOptions options, NdArray x) {
    Conv2dBody.fold(this, columns, options, x);
  }

  // ---- pooling

  /// `y` = the largest element of each window, and `places` (I32) which of the window's elements
  /// that is, row by row; of equals the first, and NaN counts as largest. What lies outside the
  /// image is −∞. Shapes: `x [N, C, H, W] → y, places [N, C, H', W']` with `H' = ⌊(H + 2·padding −
  /// window)/stride⌋ + 1`, all contiguous.
  default void maxPool2d(NdArray x, Pool2dOptions options, NdArray y, NdArray places) {
    Pool2dBody.max(this, x, options, y, places);
  }

  /// `dx` = the sum of dy over the windows whose largest element x was. All contiguous.
  default void maxPool2dGradient(NdArray places, NdArray dy, Pool2dOptions options, NdArray dx) {
    Pool2dBody.maxGradient(this, places, dy, options, dx);
  }

  /// `y` = the mean of each window, in which what lies outside the image is 0 and counts. Shapes as
  /// in [#maxPool2d(NdArray, Pool2dOptions, NdArray, NdArray)].
  default void avgPool2d(NdArray x, Pool2dOptions options, NdArray y) {
    Pool2dBody.mean(this, x, options, y);
  }

  /// `dx` = the sum of dy over the windows that saw x, divided by a window's size. All contiguous.
  default void avgPool2dGradient(NdArray dy, Pool2dOptions options, NdArray dx) {
    Pool2dBody.meanGradient(this, dy, options, dx);
  }

  // ---- attention

  /// `y = dropout(softmax(scale·q·kᵀ + mask))·v`, and `logSumExp` of each row of scores. Shapes: `q
  /// [B, H, Tq, D], k [B, H, Tk, D], v [B, H, Tk, E] → y [B, H, Tq, E], logSumExp [B, H, Tq]`;
  /// `mask` (BOOL [B, H, Tq, Tk], expanded) says which keys a query sees; null: all. q, k, v, y
  /// have any layout with stride 1 along the last axis; logSumExp is contiguous F32. A query that
  /// sees no key gets 0 and a logSumExp of −∞. Source: arXiv:1706.03762 §3.2.1; without storing the
  /// scores: arXiv:2307.08691.
  default void attention(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp) {
    Shape scores = Shape.of(q.dim(0), q.dim(1), q.dim(2), k.dim(2));
    try (var work = new Workspace(memory())) {
      NdArray p = AttentionBody.scores(this, work, q, k, mask, options);
      NdArray row = column(logSumExp);
      NdArray shift = work.allocate(logSumExp.dtype(), row.shape());
      reduce(MAX, p, shift);
      AttentionBody.zeroWhere(this, work, shift, Double.NEGATIVE_INFINITY);
      binary(SUBTRACT, p, shift.expand(scores), p);
      unary(Unary.EXP, p, p);
      reduce(SUM, p, row);
      NdArray inverse = work.allocate(logSumExp.dtype(), row.shape());
      unary(Unary.RECIPROCAL, row, inverse);
      AttentionBody.zeroWhere(this, work, inverse, Double.POSITIVE_INFINITY);
      binary(MULTIPLY, p, inverse.expand(scores), p);
      unary(Unary.LOG, row, row);
      binary(ADD, row, shift, row);
      AttentionBody.drop(this, p, options);
      matmul(p, v, y, false);
    }
  }

  /// With `p` the weights, `p̃` after dropout, `dp = dropout(dy·vᵀ)` and `d = Σ dy⊙y` over a row:
  /// `dv = p̃ᵀ·dy`, `ds = p ⊙ (dp − d)`, `dq = scale·ds·k`, `dk = scale·dsᵀ·q`. dq, dk and dv are
  /// written over, with any layout of stride 1 along the last axis.
  default void attentionGradient(
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
    try (var work = new Workspace(memory())) {
      NdArray p = AttentionBody.scores(this, work, q, k, mask, options);
      Shape scores = p.shape();
      NdArray shift = work.allocate(logSumExp.dtype(), column(logSumExp).shape());
      copy(column(logSumExp), shift);
      AttentionBody.zeroWhere(this, work, shift, Double.NEGATIVE_INFINITY);
      binary(SUBTRACT, p, shift.expand(scores), p);
      unary(Unary.EXP, p, p);
      NdArray dp = work.allocate(p.dtype(), scores);
      copy(p, dp);
      AttentionBody.drop(this, dp, options);
      matmul(dp.transpose(), dy, dv, false);
      matmul(dy, v.transpose(), dp, false);
      AttentionBody.drop(this, dp, options);
      NdArray product = work.allocate(p.dtype(), y.shape());
      binary(MULTIPLY, dy, y, product);
      reduce(SUM, product, shift);
      binary(SUBTRACT, dp, shift.expand(scores), dp);
      binary(MULTIPLY, dp, p, dp);
      binary(MULTIPLY, dp, options.scale(), dp);
      matmul(dp, k, dq, false);
      matmul(dp.transpose(), q, dk, false);
    }
  }

  // ---- losses

  /// `losses = logSumExp − (1 − s)·x[target] − s·mean(x)` with the smoothing s; 0 where the target
  /// is the ignored index. Shapes: `x [N, C], targets (I32) [N] → losses, logSumExp [N]`, all
  /// contiguous, but that rows of x may be as far apart as [#rowPitch(long)] says; losses and
  /// logSumExp F32.
  ///
  /// @throws IndexOutOfBoundsException (maybe late) if a target is neither ignored nor in `[0, C)`
  default void crossEntropy(
      NdArray x, NdArray targets, CrossEntropyOptions options, NdArray losses, NdArray logSumExp) {
    DType type = arithmetic(x);
    NdArray row = column(logSumExp);
    NdArray loss = column(losses);
    try (var work = new Workspace(memory())) {
      NdArray e = work.allocate(type, x.shape());
      NdArray m = work.allocate(type, row.shape());
      reduce(MAX, x, m);
      binary(SUBTRACT, x, m.expand(x.shape()), e);
      unary(Unary.EXP, e, e);
      reduce(SUM, e, row);
      unary(Unary.LOG, row, row);
      binary(ADD, row, m, row);
      NdArray ignored = work.allocate(DType.BOOL, row.shape());
      compare(Compare.EQUAL, column(targets), options.ignoreIndex(), ignored);
      NdArray safe = work.allocate(DType.I32, row.shape());
      where(ignored, constant(work, DType.I32, 0, row.shape()), column(targets), safe);
      NdArray picked = work.allocate(x.dtype(), row.shape());
      gather(x, 1, safe, picked);
      binary(MULTIPLY, picked, 1 - options.smoothing(), m);
      binary(SUBTRACT, row, m, loss);
      if (options.smoothing() != 0) {
        reduce(SUM, x, m);
        binary(MULTIPLY, m, options.smoothing() / x.dim(1), m);
        binary(SUBTRACT, loss, m, loss);
      }
      where(ignored, constant(work, losses.dtype(), 0, row.shape()), loss, loss);
    }
  }

  /// `dx = (softmax(x) − (1 − s)·onehot(target) − s/C)·dLosses` by rows, 0 for ignored rows. Shapes
  /// as in the forward function; `dLosses [N]` has any layout. dx may be x itself: then no second
  /// array of the logits' size is needed.
  default void crossEntropyGradient(
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    DType type = arithmetic(x);
    try (var work = new Workspace(memory())) {
      NdArray p = work.allocate(type, x.shape());
      binary(SUBTRACT, x, column(logSumExp).expand(x.shape()), p);
      unary(Unary.EXP, p, p);
      NdArray classes = work.allocate(DType.I32, Shape.of(1, x.dim(1)));
      range(classes, 0, 1);
      NdArray hit = work.allocate(DType.BOOL, x.shape());
      compare(Compare.EQUAL, classes.expand(x.shape()), column(targets).expand(x.shape()), hit);
      NdArray target = work.allocate(type, x.shape());
      copy(hit, target);
      binary(MULTIPLY, target, 1 - options.smoothing(), target);
      binary(SUBTRACT, p, target, p);
      if (options.smoothing() != 0) {
        binary(SUBTRACT, p, options.smoothing() / x.dim(1), p);
      }
      NdArray ignored = work.allocate(DType.BOOL, Shape.of(x.dim(0)));
      compare(Compare.EQUAL, targets, options.ignoreIndex(), ignored);
      NdArray scale = work.allocate(type, ignored.shape());
      where(ignored, constant(work, dLosses.dtype(), 0, ignored.shape()), dLosses, scale);
      binary(MULTIPLY, p, column(scale).expand(x.shape()), dx);
    }
  }

  // ---- embedding

  /// `y[i] = table[indices[i]]`. Shapes: `table [V, C], indices (I32) [N] → y [N, C]`, all
  /// contiguous.
  ///
  /// @throws IndexOutOfBoundsException (maybe late) if an index is outside `[0, V)`
  default void embedding(NdArray table, NdArray indices, NdArray y) {
    gather(table, 0, column(indices).expand(y.shape()), y);
  }

  /// `dTable[indices[i]] += dy[i]`, equal indices in rising order of `i`. Shapes as in the forward
  /// function.
  default void embeddingGradient(NdArray dy, NdArray indices, NdArray dTable) {
    scatterAdd(dy, 0, column(indices).expand(dy.shape()), dTable);
  }

  // ---- dropout

  /// `y = x / (1 − p)` where the element's word of [Philox]'s stream is at least
  /// [Philox#keepThreshold(double)] as an unsigned number, else 0. x and y are contiguous, and may
  /// be the same. It is its own gradient.
  default void dropout(NdArray x, double p, NdArray state, int stream, NdArray y) {
    try (var work = new Workspace(memory())) {
      NdArray bits = work.allocate(DType.I32, x.shape());
      NdArray keep = work.allocate(DType.BOOL, x.shape());
      random(state, stream, bits);
      binary(ADD, bits, Integer.MIN_VALUE, bits); // unsigned order as signed order
      compare(Compare.GREATER_EQUAL, bits, Philox.keepThreshold(p) + Integer.MIN_VALUE, keep);
      NdArray scaled = work.allocate(arithmetic(x), x.shape());
      binary(MULTIPLY, x, 1 / (1 - p), scaled);
      where(keep, scaled, constant(work, scaled.dtype(), 0, x.shape()), scaled);
      copy(scaled, y);
    }
  }

  // ---- optimisers

  /// `y = √Σ x²` over all elements of all `arrays` (contiguous); y is an F32 scalar.
  default void globalNorm(List<NdArray> arrays, NdArray y) {
    fill(y, 0);
    try (var work = new Workspace(memory())) {
      NdArray sum = work.allocate(y.dtype(), Shape.of(1));
      for (NdArray x : arrays) {
        try (var inner = new Workspace(memory())) {
          NdArray square = inner.allocate(arithmetic(x), Shape.of(x.elements()));
          unary(Unary.SQUARE, x.reshape(square.shape()), square);
          reduce(SUM, square, sum);
          binary(ADD, y, sum.reshape(Shape.scalar()), y);
        }
      }
    }
    unary(Unary.SQRT, y, y);
  }

  /// One AdamW step of each slot, with the gradient `g = scale·gradient`: `p ← decay·p; m ← m + (1
  /// − β₁)(g − m); v ← β₂v + (1 − β₂)g²; p ← p − stepSize·m / (√v·rootCorrection + ε)`. `factors`
  /// are [AdamWFactors], `scale` an F32 scalar; both are read on the device. Where scale is not
  /// finite nothing changes. A slot's 16-bit copy gets the new p in the same pass. Source:
  /// arXiv:1711.05101, algorithm 2.
  default void adamW(List<AdamWSlot> slots, NdArray factors, NdArray scale) {
    OptimizerBody.adamW(this, slots, factors, scale);
  }

  /// One SGD step of each slot, with `g = scale·gradient + weightDecay·p`: `v ← momentum·v + g`, `p
  /// ← p − rate·(v, or g + momentum·v in Nesterov's form)`. `factors` are [SgdFactors], `scale` an
  /// F32 scalar; both are read on the device. Where scale is not finite nothing changes. A slot's
  /// 16-bit copy gets the new p. Source: Sutskever et al., ICML 2013, as PyTorch words it.
  default void sgd(List<SgdSlot> slots, NdArray factors, NdArray scale) {
    OptimizerBody.sgd(this, slots, factors, scale);
  }

  /// `y = min(1, maxNorm / (norm + 1e-6))`, NaN where norm is not finite; scalars. With
  /// [#globalNorm(List, NdArray)] it clips. Source: arXiv:1211.5063 §3.2, with PyTorch's 1e-6.
  default void clipScale(NdArray norm, double maxNorm, NdArray y) {
    try (var work = new Workspace(memory())) {
      NdArray zero = work.allocate(norm.dtype(), norm.shape());
      binary(MULTIPLY, norm, 0, zero); // NaN where the norm is not finite
      binary(ADD, norm, 1e-6, y);
      unary(Unary.RECIPROCAL, y, y);
      binary(MULTIPLY, y, maxNorm, y);
      binary(MINIMUM, y, 1, y);
      binary(ADD, y, zero, y);
    }
  }

  // ---- sampling

  /// The `k` largest elements of each row of the last axis, largest first, and their indices; of
  /// equals the first. Shapes: `x [.., n] → values, indices (I32) [.., k]`, all contiguous.
  default void topK(NdArray x, NdArray values, NdArray indices) {
    try (var work = new Workspace(memory())) {
      NdArray sorted = work.allocate(x.dtype(), x.shape());
      NdArray order = work.allocate(DType.I32, x.shape());
      sort(x, true, sorted, order);
      long k = values.dim(-1);
      copy(sorted.slice(-1, 0, k), values);
      copy(order.slice(-1, 0, k), indices);
    }
  }

  /// One index drawn from each row of weights (not negative, not all 0; they need not sum to 1):
  /// the first whose cumulative weight exceeds `u·Σ`, where u is the row's uniform number of
  /// [Philox]'s stream. Shapes: `weights [N, C] → y (I32) [N]`, contiguous.
  default void multinomial(NdArray weights, NdArray state, int stream, NdArray y) {
    long rows = weights.dim(0);
    long classes = weights.dim(1);
    DType type = arithmetic(weights);
    try (var work = new Workspace(memory())) {
      NdArray sums = work.allocate(type, weights.shape());
      cumulativeSum(weights, 1, sums);
      NdArray u = work.allocate(type, Shape.of(rows, 1));
      random(state, stream, u);
      binary(
          MULTIPLY, u, sums.slice(1, classes - 1, classes), u); // below the total: u <= 1 - 2^-23
      NdArray passed = work.allocate(DType.BOOL, weights.shape());
      compare(Compare.LESS_EQUAL, sums, u.expand(weights.shape()), passed);
      NdArray ones = work.allocate(DType.I32, weights.shape());
      copy(passed, ones);
      reduce(SUM, ones, column(y));
    }
  }

  // ---- replay

  /// Records the work that `step` enqueues, without doing it, so that it can be run any number of
  /// times. The default runs `step` itself each time.
  ///
  /// So that both are the same, `step` must depend on nothing that the host changes from run to
  /// run: what does change (the batch, a random state, an optimiser's factors) stands in arrays
  /// that are filled before each run. `step` waits for nothing and reads nothing back; what it
  /// uploads may be uploaded once; arrays of its own that it keeps are valid until the replay is
  /// closed. Run it once before, so that kernels are there.
  default Replay capture(Runnable step) {
    return new Replay() {
      @Override
      public void run() {
        step.run();
      }

      @Override
      public void close() {}
    };
  }

  // ---- profiling

  /// The time of each kernel since the last call, the longest first; waits until all enqueued work
  /// is done. Empty unless [Settings#profile()] was set when the device was opened.
  default List<KernelTime> kernelTimes() {
    return List.of();
  }

  /// Whether [#kernelTimes()] comes from the device's own clock. Where it does not, [Backends]
  /// measures whole operations instead, and waits for each of them.
  default boolean hasKernelClock() {
    return false;
  }

  // ---- precision

  /// Whether products of F32 matrices ([Primitives#matmul], [#linear], and all that is made of
  /// them) may round their factors to TF32, 10 bits of mantissa, from now on; sums stay F32. Off at
  /// first. It is a mode of the device: it holds for all that compute on it.
  ///
  /// @throws DeviceException if it is wanted and the device has no such products
  default void multiplyInTf32(boolean wanted) {
    if (wanted) {
      throw new DeviceException(
          "precision: no TF32; got "
              + id()
              + "; need a CUDA card of compute capability 8.0 or later, or --precision f32");
    }
  }

  /// What multiplies BF16 matrices here, as [Settings.CpuMatmul] calls it in small letters, where
  /// there is a choice, by which the last bits of a result differ; empty where there is none.
  default String bf16Matmul() {
    return "";
  }

  // ---- advice

  /// The most logits to make at once for a loss that need not hold them all: enough for matmul's
  /// full speed, few enough for the memory. By default 64 MB in F32.
  default long chunkElements() {
    return 1L << 24;
  }

  /// How far apart the rows of logits are best, in elements: at least `columns`, and that unless
  /// the device reads rows faster which begin at certain multiples. What lies between is never
  /// read.
  default long rowPitch(long columns) {
    return columns;
  }

  // ---- for default bodies

  /// The type that arithmetic on `x` is done in: F64 for F64, else F32.
  static DType arithmetic(NdArray x) {
    return x.dtype() == DType.F64 ? DType.F64 : DType.F32;
  }

  /// `x` with one more axis of size 1 at the end.
  static NdArray column(NdArray x) {
    return x.view(
        Layout.of(
            x.shape().insert(-1, 1),
            Gradients.append(x.layout().strides(), 1),
            x.layout().offset()));
  }

  /// `value` everywhere in `shape`: one stored element, expanded.
  default NdArray constant(Workspace work, DType dtype, double value, Shape shape) {
    NdArray one = work.allocate(dtype, Shape.scalar());
    fill(one, value);
    return one.expand(shape);
  }
}
