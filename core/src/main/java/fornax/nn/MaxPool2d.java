package fornax.nn;

import fornax.backend.Pool2dOptions;
import fornax.tensor.Tensor;

/// The largest element of each window: [Tensor#maxPool2d(Pool2dOptions)] as a layer.
public final class MaxPool2d extends Layer {
  private final Pool2dOptions options;

  /// Square windows side by side.
  public MaxPool2d(int window) {
    this(Pool2dOptions.of(window));
  }

  public MaxPool2d(Pool2dOptions options) {
    this.options = options;
  }

  @Override
  public Tensor forward(Tensor x) {
    return x.maxPool2d(options);
  }
}
