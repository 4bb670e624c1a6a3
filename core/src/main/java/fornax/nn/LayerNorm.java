package fornax.nn;

import fornax.array.ShapeException;
import fornax.tensor.Residual;
import fornax.tensor.Tensor;

/// `y = (x − mean)/√(variance + epsilon)·weight + bias` over the last axis. Shapes: `x, y [..,
/// width]; weight, bias [width]`. Source: arXiv:1607.06450.
public final class LayerNorm extends Layer {
  /// PyTorch's and GPT-2's.
  public static final double EPSILON = 1e-5;

  private final Tensor weight;
  private final Tensor bias;
  private final double epsilon;

  public LayerNorm(Weights weights, long width) {
    this(weights, width, EPSILON);
  }

  public LayerNorm(Weights weights, long width, double epsilon) {
    weight = parameter("weight", weights.create(Initializer.ones(), width));
    bias = parameter("bias", weights.create(Initializer.zeros(), width));
    this.epsilon = epsilon;
  }

  /// @throws ShapeException if the last axis of `x` is not `width`
  @Override
  public Tensor forward(Tensor x) {
    return x.layerNorm(weight, bias, epsilon);
  }

  /// `x + addend`, and the norm of that. Shapes: all `[.., width]`.
  ///
  /// @throws ShapeException if x and addend differ in shape, or their last axis is not `width`
  public Residual forward(Tensor x, Tensor addend) {
    return x.addLayerNorm(addend, weight, bias, epsilon);
  }
}
