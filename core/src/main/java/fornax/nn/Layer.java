package fornax.nn;

import fornax.tensor.Tensor;

/// A module that maps one tensor to one tensor.
public abstract class Layer extends Module {
  /// A layer without parameters yet.
  protected Layer() {}

  /// The layer's value for `x`, in the caller's scope.
  public abstract Tensor forward(Tensor x);
}
