package fornax.nn;

import fornax.array.ShapeException;
import fornax.tensor.Tensor;

/// `y = x/√(mean(x²) + epsilon)·weight` over the last axis. Shapes: `x, y [.., width]; weight
/// [width]`. Source: arXiv:1910.07467.
public final class RmsNorm extends Layer {
  /// Llama 2's.
  public static final double EPSILON = 1e-5;

  private final Tensor weight;
  private final double epsilon;

  public RmsNorm(Weights weights, long width) {
    this(weights, width, EPSILON);
  }

  public RmsNorm(Weights weights, long width, double epsilon) {
    weight = parameter("weight", weights.create(Initializer.ones(), width));
    this.epsilon = epsilon;
  }

  /// @throws ShapeException if the last axis of `x` is not `width`
  @Override
  public Tensor forward(Tensor x) {
    return x.rmsNorm(weight, epsilon);
  }
}
