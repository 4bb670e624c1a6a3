package fornax.train;

/// What stood out in the steps of a training.
///
/// @param skipped the steps that changed nothing, for their loss or gradients were not finite
/// @param overflows such steps whose loss was finite and its scale above 1, which was halved: they
///   count here and not among the skipped
/// @param spikes the steps whose loss or gradient norm stood far above those before
///   ([RecentSteps#isSpike])
/// @param lastSpike the last such step; 0: none
/// @param largestNorm the largest finite gradient norm, before clipping
/// @param largestNormStep the step it was of; 0: none
public record Health(
    int skipped,
    int overflows,
    int spikes,
    int lastSpike,
    double largestNorm,
    int largestNormStep) {
  static final Health UNKNOWN = new Health(0, 0, 0, 0, 0, 0);

  /// This after one more step.
  Health after(int step, double loss, double gradientNorm, boolean overflow, boolean spike) {
    boolean finite = Double.isFinite(loss) && Double.isFinite(gradientNorm);
    boolean larger = finite && gradientNorm > largestNorm;
    return new Health(
        finite || overflow ? skipped : skipped + 1,
        overflow ? overflows + 1 : overflows,
        spike ? spikes + 1 : spikes,
        spike ? step : lastSpike,
        larger ? gradientNorm : largestNorm,
        larger ? step : largestNormStep);
  }
}
