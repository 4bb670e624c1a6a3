package fornax.tensor;

import fornax.backend.CrossEntropyOptions;

/// How cross entropy is computed. The defaults are PyTorch's.
///
/// @param reduction how the rows' losses are combined; MEAN is over the rows that are not ignored,
///   NaN if all are
/// @param ignoreIndex rows with this target count for nothing
/// @param smoothing the part of the target's probability that is spread evenly over all classes, in
///   [0, 1)
public record LossOptions(Reduction reduction, int ignoreIndex, double smoothing) {
  /// The mean, ignoring targets of −100, without smoothing.
  public static final LossOptions DEFAULT = new LossOptions(Reduction.MEAN, -100, 0);

  public LossOptions {
    if (!(smoothing >= 0 && smoothing < 1)) {
      throw new IllegalArgumentException(
          "crossEntropy: smoothing outside [0, 1); got " + smoothing);
    }
  }

  public LossOptions withReduction(Reduction other) {
    return new LossOptions(other, ignoreIndex, smoothing);
  }

  public LossOptions withIgnoreIndex(int other) {
    return new LossOptions(reduction, other, smoothing);
  }

  public LossOptions withSmoothing(double other) {
    return new LossOptions(reduction, ignoreIndex, other);
  }

  CrossEntropyOptions forBackend() {
    return new CrossEntropyOptions(ignoreIndex, smoothing);
  }
}
