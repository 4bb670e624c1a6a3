package fornax.train;

import fornax.nn.Precision;

/// How a model is trained.
///
/// @param steps how many times the parameters change
/// @param batch the sequences of one forward pass
/// @param accumulate the forward passes of one step, whose gradients are averaged
/// @param optimizer how a step changes the parameters
/// @param reports how often to look at the result
/// @param seed of the initial parameters, the batches and dropout
/// @param precision what the model computes in
/// @param checkpointing how often to save what training can go on from
public record TrainOptions(
    int steps,
    int batch,
    int accumulate,
    OptimizerOptions optimizer,
    Reports reports,
    long seed,
    Precision precision,
    Checkpointing checkpointing) {
  /// @throws IllegalArgumentException if a number is not positive, the seed is negative, or warm-up
  ///   takes longer than all steps
  public TrainOptions {
    atLeast("steps", steps, 1);
    atLeast("batch", batch, 1);
    atLeast("accumulate", accumulate, 1);
    atLeast("seed", seed, 0);
    if (optimizer.warmup() > steps) {
      throw new IllegalArgumentException(
          "train: warm-up longer than training; got "
              + optimizer.warmup()
              + " and "
              + steps
              + " steps; need at most "
              + steps);
    }
  }

  /// Without checkpoints.
  public TrainOptions(
      int steps,
      int batch,
      int accumulate,
      OptimizerOptions optimizer,
      Reports reports,
      long seed,
      Precision precision) {
    this(steps, batch, accumulate, optimizer, reports, seed, precision, Checkpointing.NONE);
  }

  /// This in another precision.
  public TrainOptions withPrecision(Precision other) {
    return new TrainOptions(
        steps, batch, accumulate, optimizer, reports, seed, other, checkpointing);
  }

  /// This with checkpoints.
  public TrainOptions withCheckpointing(Checkpointing other) {
    return new TrainOptions(steps, batch, accumulate, optimizer, reports, seed, precision, other);
  }

  /// The windows of text that one step sees.
  public long windowsPerStep() {
    return (long) batch * accumulate;
  }

  static void atLeast(String name, long value, long least) {
    if (value < least) {
      throw new IllegalArgumentException(
          "train: " + name + " not usable; got " + value + "; need at least " + least);
    }
  }

  /// AdamW with linear warm-up to `rate`, half a cosine down to `minRate` and clipping by the
  /// global norm.
  ///
  /// @param warmup in steps
  /// @param weightDecay of matrices and embeddings; biases and norms have none
  /// @param clip the largest norm of all gradients together; 0: no limit
  public record OptimizerOptions(
      double rate,
      double minRate,
      int warmup,
      double beta1,
      double beta2,
      double weightDecay,
      double clip) {
    /// @throws IllegalArgumentException if a number is outside its range, or minRate above rate
    public OptimizerOptions {
      range("learning rate", rate, rate > 0, "more than 0");
      range("least learning rate", minRate, minRate >= 0 && minRate <= rate, "0 to " + rate);
      atLeast("warm-up", warmup, 0);
      range("beta1", beta1, beta1 >= 0 && beta1 < 1, "at least 0 and below 1");
      range("beta2", beta2, beta2 >= 0 && beta2 < 1, "at least 0 and below 1");
      range("weight decay", weightDecay, weightDecay >= 0, "at least 0");
      range("clip", clip, clip >= 0, "at least 0");
    }

    private static void range(String name, double value, boolean holds, String need) {
      if (!holds || value == Double.POSITIVE_INFINITY) {
        throw new IllegalArgumentException(
            "train: " + name + " not usable; got " + value + "; need " + need);
      }
    }
  }

  /// How often to look at the result while training.
  ///
  /// @param evaluateEvery steps between evaluations on the validation part; 0: none
  /// @param evaluateBatches batches of such an evaluation, spread evenly over that part
  /// @param sampleEvery steps between samples; 0: none
  public record Reports(int evaluateEvery, int evaluateBatches, int sampleEvery) {
    /// @throws IllegalArgumentException if a number is negative, or there are no batches
    public Reports {
      atLeast("steps between evaluations", evaluateEvery, 0);
      atLeast("batches of an evaluation", evaluateBatches, 1);
      atLeast("steps between samples", sampleEvery, 0);
    }
  }

  /// How often to save what training can go on from.
  ///
  /// @param every steps between checkpoints; 0: none. One more is due where an evaluation finds the
  ///   lowest loss so far, when training is stopped, and at its end
  /// @param keep how many of the last to keep, beside the one with the lowest validation loss
  public record Checkpointing(int every, int keep) {
    /// No checkpoints.
    public static final Checkpointing NONE = new Checkpointing(0, 1);

    /// @throws IllegalArgumentException if `every` is negative, or none is kept
    public Checkpointing {
      atLeast("steps between checkpoints", every, 0);
      atLeast("checkpoints kept", keep, 1);
    }
  }
}
