package fornax.backend;

/// How cross entropy is computed.
///
/// @param ignoreIndex rows with this target count for nothing
/// @param smoothing the part of the target's probability that is spread evenly over all classes; 0
///   for none
public record CrossEntropyOptions(int ignoreIndex, double smoothing) {
  /// PyTorch's default ignore index, and no smoothing.
  public static final CrossEntropyOptions DEFAULT = new CrossEntropyOptions(-100, 0);
}
