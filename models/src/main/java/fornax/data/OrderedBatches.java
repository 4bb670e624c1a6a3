package fornax.data;

/// A number of batches to evaluate on: `inputs [rows, context]`, and for each the target that
/// follows it, [EvaluationBatches#IGNORED] where none counts.
public interface OrderedBatches {
  /// The number of sequences in a batch.
  int rows();

  /// The number of tokens in a sequence.
  int context();

  /// The number of batches.
  int count();

  /// Writes batch `number` to `inputs` and `targets`, and returns how many targets count; at least
  /// one.
  ///
  /// @throws IllegalArgumentException if an array has not `rows × context` elements
  /// @throws IndexOutOfBoundsException if `number` is outside `[0, count)`
  int fill(int number, int[] inputs, int[] targets);
}
