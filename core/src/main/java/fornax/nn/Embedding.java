package fornax.nn;

import fornax.tensor.Tensor;

/// A table of vectors: `y[i..] = weight[x[i..]]`. Shapes: `x (I32) [..], weight [count, width] → y
/// [.., width]`. The weight starts normal, with standard deviation 1 where not told otherwise.
public final class Embedding extends Layer {
  private final Tensor weight;

  public Embedding(Weights weights, long count, long width) {
    this(weights, count, width, Initializer.normal(1));
  }

  public Embedding(Weights weights, long count, long width, Initializer initializer) {
    weight = workingParameter("weight", weights.create(initializer, count, width));
  }

  /// @throws IndexOutOfBoundsException (maybe late) if an index is outside `[0, count)`
  @Override
  public Tensor forward(Tensor x) {
    return weight.working().embedding(x);
  }

  /// The table, `[count, width]`.
  public Tensor weight() {
    return weight;
  }
}
