package fornax.nn;

import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;

/// What [Lora] adds to a [Linear]: `y = scale·dropout(x)·a·b`. Shapes: `x [.., in], a [in, rank], b
/// [rank, out] → y [.., out]`.
///
/// `a` starts normal with standard deviation `1/√in`, `b` as 0. Source: arXiv:2106.09685 §4.1.
public final class LoraAdapter extends Layer {
  private final Tensor a;
  private final Tensor b;
  private final double scale;
  private final Dropout dropout;

  /// @param weight of the layer, `[in, out]`
  LoraAdapter(Weights weights, Tensor weight, Lora.Options options, Generator generator) {
    long in = weight.dim(0);
    Initializer normal = Initializer.normal(1 / Math.sqrt(Math.max(1, in)));
    a = workingParameter("a", weights.create(normal, in, options.rank()));
    b = workingParameter("b", weights.create(Initializer.zeros(), options.rank(), weight.dim(1)));
    scale = options.scale();
    dropout = child("dropout", new Dropout(options.dropout(), generator));
  }

  @Override
  public Tensor forward(Tensor x) {
    try (var scope = Scope.open()) {
      Tensor thin = dropout.forward(lowered(x)).linear(a.working(), null, null); // [.., rank]
      return scope.keep(thin.mul(scale).linear(b.working(), null, null)); // [.., out]
    }
  }

  /// Adds `scale·a·b` to `weight`.
  void addTo(Tensor weight) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor _ = weight.addInPlace(a.matmul(b).mul(scale));
    }
  }

  @Override
  public String toString() {
    return "LoraAdapter(" + a.dim(1) + ")";
  }
}
