package fornax.nn;

import fornax.backend.Unary;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;

/// The two layers of a transformer's block: `y = dropout(contract(expand(x)))`. Shapes: `x, y [..,
/// width]`, in between `[.., inner]`. Source: arXiv:1706.03762 §3.3.
public final class FeedForward extends Layer {
  private final Linear expand;
  private final Linear contract;
  private final Dropout dropout;

  /// @param expand with the activation
  public FeedForward(Linear expand, Linear contract, Dropout dropout) {
    this.expand = child("expand", expand);
    this.contract = child("contract", contract);
    this.dropout = child("dropout", dropout);
  }

  /// Four times as wide inside, with `activation`.
  public static FeedForward of(Weights weights, long width, Unary activation, Dropout dropout) {
    return new FeedForward(
        new Linear(weights, width, Math.multiplyExact(4, width), activation),
        new Linear(weights, Math.multiplyExact(4, width), width),
        dropout);
  }

  @Override
  public Tensor forward(Tensor x) {
    try (var scope = Scope.open()) {
      Tensor inner = expand.forward(x); // [.., inner]
      return scope.keep(dropout.forward(contract.forward(inner))); // [.., width]
    }
  }
}
