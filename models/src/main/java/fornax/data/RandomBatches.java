package fornax.data;

/// Batches to train on, of which there is no end: `inputs [rows, context]`, and for each the target
/// that follows it, [EvaluationBatches#IGNORED] where none counts. A batch is a pure function of
/// its number, so resuming needs no state.
public interface RandomBatches {
  /// Writes batch `number` to `inputs` and `targets`.
  ///
  /// @throws IllegalArgumentException if `number` is negative, or an array has not `rows × context`
  ///   elements
  void fill(long number, int[] inputs, int[] targets);
}
