package fornax.nn;

import fornax.tensor.Tensor;

/// All axes but the first in one: images `[N, C, H, W]` as rows `[N, C·H·W]`.
public final class Flatten extends Layer {
  /// A layer without parameters.
  public Flatten() {}

  @Override
  public Tensor forward(Tensor x) {
    long n = x.dim(0);
    return x.reshape(n, n == 0 ? 0 : x.elements() / n);
  }
}
