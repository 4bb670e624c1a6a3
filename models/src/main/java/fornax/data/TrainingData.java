package fornax.data;

/// What a model learns from, and what it is measured by.
public sealed interface TrainingData permits InstructionDataset, TokenDataset {
  /// The number of tokens a model sees at a time.
  int context();

  /// The number of tokens for training.
  long trainingTokens();

  /// The number of tokens for validation.
  long validationTokens();

  /// How many of these are predicted where all are evaluated.
  long validationTargets();

  /// Batches of `rows` sequences of the training part, in an order determined by `seed`.
  ///
  /// @throws IllegalArgumentException if `rows` is not positive
  RandomBatches trainingBatches(long seed, int rows);

  /// Batches of `rows` sequences spread evenly over the validation part, at most `most` of them.
  ///
  /// @throws IllegalArgumentException if `rows` or `most` is not positive
  OrderedBatches evaluationBatches(int rows, long most);
}
