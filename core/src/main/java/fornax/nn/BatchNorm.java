package fornax.nn;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;

/// `y = (x − mean)/√(variance + epsilon)·weight + bias` for each channel. In training, mean and
/// variance are those of the batch, and running ones are kept of them; in evaluation the running
/// ones are used. Shapes: `x, y [N, channels, ..]`, such as rows `[N, C]` or images `[N, C, H, W]`.
/// Source: arXiv:1502.03167.
///
/// As in PyTorch, `running ← (1 − momentum)·running + momentum·batch's`, with the variance over n −
/// 1 there, and the state's names are `weight`, `bias`, `running_mean`, `running_var` and
/// `num_batches_tracked`.
public final class BatchNorm extends Layer {
  /// PyTorch's.
  public static final double EPSILON = 1e-5;

  /// PyTorch's: the part of the running numbers that each batch replaces.
  public static final double MOMENTUM = 0.1;

  private final Tensor weight;
  private final Tensor bias;
  private final Tensor runningMean;
  private final Tensor runningVariance;
  private final Tensor batches;
  private final double momentum;
  private final double epsilon;

  public BatchNorm(Weights weights, long channels) {
    this(weights, channels, MOMENTUM, EPSILON);
  }

  public BatchNorm(Weights weights, long channels, double momentum, double epsilon) {
    Tensors device = Tensors.on(weights.backend());
    weight = parameter("weight", weights.create(Initializer.ones(), channels));
    bias = parameter("bias", weights.create(Initializer.zeros(), channels));
    runningMean = buffer("running_mean", device.zeros(DType.F32, Shape.of(channels)));
    runningVariance = buffer("running_var", device.ones(DType.F32, Shape.of(channels)));
    batches = buffer("num_batches_tracked", device.zeros(DType.I32, Shape.scalar()));
    this.momentum = momentum;
    this.epsilon = epsilon;
  }

  /// @throws ShapeException if axis 1 of `x` is not `channels`, or in training if each channel has
  ///   one element
  @Override
  public Tensor forward(Tensor x) {
    if (!isTraining()) {
      return x.batchNorm(weight, bias, runningMean, runningVariance, epsilon);
    }
    try (var scope = Scope.open()) {
      Tensor.BatchNormalized normalized = x.batchNorm(weight, bias, epsilon);
      keepRunning(normalized, x.elements() / (double) Math.max(1, x.dim(1)));
      return scope.keep(normalized.values());
    }
  }

  private void keepRunning(Tensor.BatchNormalized batch, double count) {
    try (var _ = GradMode.noGrad()) {
      Tensor variance = batch.variance().mul(momentum * count / (count - 1));
      var _ = runningMean.mulInPlace(1 - momentum).addInPlace(batch.mean().mul(momentum));
      var _ = runningVariance.mulInPlace(1 - momentum).addInPlace(variance);
      Tensor one = Tensors.on(batches.backend()).ones(DType.I32, Shape.scalar());
      var _ = batches.addInPlace(one);
    }
  }
}
