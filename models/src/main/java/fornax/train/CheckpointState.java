package fornax.train;

/// What a checkpoint's `state.json` holds: where training stands. The rest of it is in the files
/// beside: parameters, the optimiser's moments, the config with the schedule and the text's hash.
///
/// @param version of the software that wrote it
/// @param metricsBytes the length of `metrics.jsonl` then
/// @param training where the trainer stood
public record CheckpointState(String version, long metricsBytes, TrainingState training) {
  /// @throws IllegalArgumentException if a length is negative
  public CheckpointState {
    TrainOptions.atLeast("length of metrics", metricsBytes, 0);
  }

  /// The steps taken.
  int step() {
    return training.step();
  }

  /// Of an evaluation after this very step; NaN where there was none.
  double validationLoss() {
    Evaluation validation = training.validation();
    return validation == null || training.validationStep() != training.step()
        ? Double.NaN
        : validation.loss();
  }
}
