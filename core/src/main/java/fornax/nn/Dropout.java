package fornax.nn;

import fornax.tensor.Generator;
import fornax.tensor.Tensor;

/// In training, each element becomes 0 with probability `p` and is divided by `1 − p` otherwise;
/// outside training, nothing changes. Source: Srivastava et al., JMLR 15 (2014).
public final class Dropout extends Layer {
  private final double p;
  private final Generator generator;

  /// @param generator the random numbers, which all layers of a model share; not closed with this
  /// @throws IllegalArgumentException if `p` is outside `[0, 1)`
  public Dropout(double p, Generator generator) {
    this.p = checkProbability(p);
    this.generator = generator;
  }

  static double checkProbability(double p) {
    if (!(p >= 0 && p < 1)) {
      throw new IllegalArgumentException(
          "dropout: not a probability below 1; got " + p + "; need 0 <= p < 1");
    }
    return p;
  }

  /// `x` itself where nothing is dropped.
  @Override
  public Tensor forward(Tensor x) {
    return isTraining() && p > 0 ? x.dropout(p, generator) : x;
  }

  /// The probability of becoming 0.
  public double probability() {
    return p;
  }

  Generator generator() {
    return generator;
  }

  @Override
  public String toString() {
    return "Dropout(" + p + ")";
  }
}
