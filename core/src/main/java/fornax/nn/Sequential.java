package fornax.nn;

import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.List;

/// Layers one after the other; their names are `0`, `1`, ...
public final class Sequential extends Layer {
  private final List<Layer> layers;

  public Sequential(Layer... layers) {
    this(List.of(layers));
  }

  public Sequential(List<? extends Layer> layers) {
    this.layers = List.copyOf(layers);
    for (int i = 0; i < layers.size(); i++) {
      var _ = child(Integer.toString(i), layers.get(i));
    }
  }

  @Override
  public Tensor forward(Tensor x) {
    Tensor y = x;
    for (Layer layer : layers) {
      Tensor before = y;
      try (var scope = Scope.open()) {
        y = scope.keep(layer.forward(before));
      }
      if (before != x && before != y) {
        before.close();
      }
    }
    return y;
  }
}
