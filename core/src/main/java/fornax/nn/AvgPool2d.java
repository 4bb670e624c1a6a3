package fornax.nn;

import fornax.backend.Pool2dOptions;
import fornax.tensor.Tensor;

/// The mean of each window: [Tensor#avgPool2d(Pool2dOptions)] as a layer.
public final class AvgPool2d extends Layer {
  private final Pool2dOptions options;

  /// Square windows side by side.
  public AvgPool2d(int window) {
    this(Pool2dOptions.of(window));
  }

  public AvgPool2d(Pool2dOptions options) {
    this.options = options;
  }

  @Override
  public Tensor forward(Tensor x) {
    return x.avgPool2d(options);
  }
}
