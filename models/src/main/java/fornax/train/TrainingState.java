package fornax.train;

import fornax.optim.LossScale;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Where a [Trainer] stands, but for the parameters and the optimiser's moments.
///
/// @param step the steps taken
/// @param window the number of the next window of text: the position in the data
/// @param randomStep the counter that the next forward pass's random numbers are drawn by
/// @param losses of the last steps, at most [RecentSteps#CAPACITY]
/// @param gradientNorms of the same steps
/// @param health how training went so far
/// @param lossScale of the next step, in F16
/// @param bestLoss the lowest validation loss so far; infinite before the first
/// @param validation the last evaluation; null before the first
/// @param validationStep the step it came after
public record TrainingState(
    int step,
    long window,
    long randomStep,
    List<Double> losses,
    List<Double> gradientNorms,
    Health health,
    LossScale.State lossScale,
    double bestLoss,
    @Nullable Evaluation validation,
    int validationStep) {
  /// @throws IllegalArgumentException if a count is negative, or losses and norms are not those of
  ///   the same steps
  public TrainingState {
    TrainOptions.atLeast("step", step, 0);
    TrainOptions.atLeast("window", window, 0);
    TrainOptions.atLeast("random step", randomStep, 0);
    if (losses.size() != gradientNorms.size() || losses.size() > RecentSteps.CAPACITY) {
      throw new IllegalArgumentException(
          "train: last steps not usable; got "
              + losses.size()
              + " losses and "
              + gradientNorms.size()
              + " gradient norms; need as many of both, at most "
              + RecentSteps.CAPACITY);
    }
    losses = List.copyOf(losses);
    gradientNorms = List.copyOf(gradientNorms);
  }

  /// Before the first step.
  static final TrainingState START =
      new TrainingState(
          0,
          0,
          0,
          List.of(),
          List.of(),
          Health.UNKNOWN,
          LossScale.State.INITIAL,
          Double.POSITIVE_INFINITY,
          null,
          0);
}
