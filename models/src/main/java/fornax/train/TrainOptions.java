package fornax.train;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.nn.Precision;
import fornax.optim.Schedule;
import java.util.Locale;

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
/// @param labelSmoothing the part of a target's probability spread over all tokens; not in
///   evaluations
/// @param overfitOneBatch whether every step sees the batches of the first: a model that can learn
///   at all then learns them by heart
/// @param recompute whether backward computes each block again instead of keeping what it holds
public record TrainOptions(
    int steps,
    int batch,
    int accumulate,
    OptimizerOptions optimizer,
    Reports reports,
    long seed,
    Precision precision,
    Checkpointing checkpointing,
    double labelSmoothing,
    boolean overfitOneBatch,
    boolean recompute) {
  private static final int WSD_DECAY_SHARE = 10; // a tenth of the steps: arXiv:2404.06395 §4.3

  /// @throws IllegalArgumentException if a number is not positive, the seed is negative, label
  ///   smoothing outside `[0, 1)`, or warm-up takes longer than all steps
  public TrainOptions {
    atLeast("steps", steps, 1);
    atLeast("batch", batch, 1);
    atLeast("accumulate", accumulate, 1);
    atLeast("seed", seed, 0);
    range(
        "label smoothing",
        labelSmoothing,
        labelSmoothing >= 0 && labelSmoothing < 1,
        "at least 0 and below 1");
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

  /// The options of `steps` steps on `batch` sequences each: in F32, with the seed 0, and without
  /// evaluations, samples, checkpoints and label smoothing, until the builder is told otherwise.
  public static Builder builder(int steps, int batch, OptimizerOptions optimizer) {
    return new Builder(steps, batch, optimizer);
  }

  /// These options, for some of them to be changed.
  public Builder toBuilder() {
    return builder(steps, batch, optimizer)
        .accumulate(accumulate)
        .reports(reports)
        .seed(seed)
        .precision(precision)
        .checkpointing(checkpointing)
        .labelSmoothing(labelSmoothing)
        .overfitOneBatch(overfitOneBatch)
        .recompute(recompute);
  }

  /// Makes [TrainOptions]; each method sets the component of its name.
  public static final class Builder {
    private final int steps;
    private int batch;
    private final OptimizerOptions optimizer;
    private int accumulate = 1;
    private Reports reports = Reports.NONE;
    private long seed;
    private Precision precision = Precision.F32;
    private Checkpointing checkpointing = Checkpointing.NONE;
    private double labelSmoothing;
    private boolean overfitOneBatch;
    private boolean recompute;

    private Builder(int steps, int batch, OptimizerOptions optimizer) {
      this.steps = steps;
      this.batch = batch;
      this.optimizer = optimizer;
    }

    @CanIgnoreReturnValue
    public Builder batch(int sequences) {
      batch = sequences;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder accumulate(int passes) {
      accumulate = passes;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder reports(Reports options) {
      reports = options;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder seed(long number) {
      seed = number;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder precision(Precision type) {
      precision = type;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder checkpointing(Checkpointing options) {
      checkpointing = options;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder labelSmoothing(double part) {
      labelSmoothing = part;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder overfitOneBatch(boolean only) {
      overfitOneBatch = only;
      return this;
    }

    @CanIgnoreReturnValue
    public Builder recompute(boolean wanted) {
      recompute = wanted;
      return this;
    }

    /// The options.
    ///
    /// @throws IllegalArgumentException if they are not usable together
    public TrainOptions build() {
      return new TrainOptions(
          steps,
          batch,
          accumulate,
          optimizer,
          reports,
          seed,
          precision,
          checkpointing,
          labelSmoothing,
          overfitOneBatch,
          recompute);
    }
  }

  /// The learning rate of each step.
  Schedule schedule() {
    double peak = optimizer.rate();
    double floor = optimizer.minRate();
    int warmup = optimizer.warmup();
    return switch (optimizer.schedule()) {
      case COSINE -> Schedule.cosine(peak, floor, warmup, steps);
      case LINEAR -> Schedule.linear(peak, floor, warmup, steps);
      case WSD ->
          Schedule.warmupStableDecay(
              peak, floor, warmup, Math.min(steps / WSD_DECAY_SHARE, steps - warmup), steps);
      case CONSTANT -> Schedule.warmupStableDecay(peak, peak, warmup, 0, steps);
    };
  }

  /// How the learning rate goes on after its linear warm-up.
  public enum Decay {
    /// Half a cosine down to the least rate.
    COSINE,
    /// A straight line down to the least rate.
    LINEAR,
    /// Kept, and in the last tenth of the steps a straight line down to the least rate:
    /// warm-up-stable-decay.
    WSD,
    /// Kept.
    CONSTANT;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private static void range(String name, double value, boolean holds, String need) {
    if (!holds || value == Double.POSITIVE_INFINITY) {
      throw new IllegalArgumentException(
          "train: " + name + " not usable; got " + value + "; need " + need);
    }
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

  /// AdamW with linear warm-up to `rate`, a schedule down to `minRate` and clipping by the global
  /// norm.
  ///
  /// @param warmup in steps
  /// @param weightDecay of matrices and embeddings; biases and norms have none
  /// @param clip the largest norm of all gradients together; 0: no limit
  /// @param schedule how the rate goes on after warm-up
  public record OptimizerOptions(
      double rate,
      double minRate,
      int warmup,
      double beta1,
      double beta2,
      double weightDecay,
      double clip,
      Decay schedule) {
    /// With half a cosine.
    public OptimizerOptions(
        double rate,
        double minRate,
        int warmup,
        double beta1,
        double beta2,
        double weightDecay,
        double clip) {
      this(rate, minRate, warmup, beta1, beta2, weightDecay, clip, Decay.COSINE);
    }

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
  }

  /// How often to look at the result while training.
  ///
  /// @param evaluateEvery steps between evaluations on the validation part; 0: none
  /// @param evaluateBatches batches of such an evaluation, spread evenly over that part
  /// @param sampleEvery steps between samples; 0: none
  public record Reports(int evaluateEvery, int evaluateBatches, int sampleEvery) {
    /// No reports.
    public static final Reports NONE = new Reports(0, 1, 0);

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
