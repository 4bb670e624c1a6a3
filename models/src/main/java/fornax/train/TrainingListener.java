package fornax.train;

import java.io.IOException;

/// Is told how training goes on, on the thread that trains. What it throws ends the training.
public interface TrainingListener {
  /// A step is done. On a device that works asynchronously the news comes one step late.
  void stepped(StepReport report) throws IOException;

  /// The model was evaluated after `step` steps; before the first, `step` is 0.
  void evaluated(int step, Evaluation validation) throws IOException;

  /// It is time for a sample after `step` steps.
  void sampleDue(int step) throws IOException;

  /// It is time for a checkpoint: all steps up to the state's are done. Does nothing where it is
  /// not overridden.
  default void checkpointDue(TrainingState state) throws IOException {}

  /// What one step did.
  ///
  /// @param step from 1
  /// @param loss the mean over the step's batches, before the step
  /// @param gradientNorm before clipping, of the loss itself whatever it was multiplied by; where
  ///   it is not finite, the step changed nothing
  /// @param learningRate of this step
  /// @param tokensPerSecond of late
  /// @param spike whether loss or norm stood far above those of the steps before
  /// @param lossScale what the loss was multiplied by before backward: 1 but in F16
  record StepReport(
      int step,
      double loss,
      double gradientNorm,
      double learningRate,
      double tokensPerSecond,
      boolean spike,
      double lossScale) {}
}
