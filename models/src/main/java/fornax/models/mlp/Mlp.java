package fornax.models.mlp;

import fornax.array.ShapeException;
import fornax.backend.Unary;
import fornax.nn.Linear;
import fornax.nn.Module;
import fornax.nn.Sequential;
import fornax.nn.Weights;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// A classifier of linear layers with ReLU between them. Shapes: `x [N, inputs] → logits [N,
/// classes]`.
public final class Mlp extends Module {
  private final MlpConfig config;
  private final Sequential layers;

  public Mlp(MlpConfig config, Weights weights) {
    this.config = config;
    List<Integer> sizes = config.sizes();
    List<Linear> list = new ArrayList<>();
    for (int i = 1; i < sizes.size(); i++) {
      Linear.Options options =
          i == sizes.size() - 1
              ? Linear.Options.DEFAULT
              : Linear.Options.DEFAULT.withActivation(Unary.RELU);
      list.add(new Linear(weights, sizes.get(i - 1), sizes.get(i), options));
    }
    layers = child("layers", new Sequential(list));
  }

  public MlpConfig config() {
    return config;
  }

  /// The logits of each class.
  ///
  /// @throws ShapeException if the last axis of `x` is not the number of inputs
  public Tensor logits(Tensor x) {
    return layers.forward(x);
  }

  /// The mean cross-entropy of the classes `targets`, I32 `[N]`, in nats.
  public Tensor loss(Tensor x, Tensor targets) {
    try (var scope = Scope.open()) {
      return scope.keep(logits(x).crossEntropy(targets));
    }
  }

  /// The likeliest class of each row: I32 `[N]`.
  public Tensor classify(Tensor x) {
    try (var _ = GradMode.noGrad();
        var scope = Scope.open()) {
      return scope.keep(logits(x).argmax(-1));
    }
  }
}
