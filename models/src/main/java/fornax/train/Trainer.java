package fornax.train;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Binary;
import fornax.backend.NdArray;
import fornax.backend.Replay;
import fornax.backend.Settings;
import fornax.data.OrderedBatches;
import fornax.data.RandomBatches;
import fornax.data.TrainingData;
import fornax.models.gpt.Gpt;
import fornax.nn.Precision;
import fornax.nn.TensorFile;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.LossScale;
import fornax.optim.ParameterGroup;
import fornax.tensor.GradMode;
import fornax.tensor.LossOptions;
import fornax.tensor.NonFiniteException;
import fornax.tensor.Numerics;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;

/// Trains a [Gpt] on a text by nanoGPT's recipe: AdamW, warm-up and decay, clipping by the global
/// norm.
///
/// What step `s` does is a pure function of the options and of what the steps before left: its
/// batch, its dropout masks and its learning rate depend on the seed and `s` alone. On the CPU the
/// same seed gives the same bits. A step enqueues its work and waits for nothing: loss and norm are
/// read when the next step is under way. From the second of a run on, a step is one that was
/// captured (see [Backend#capture(Runnable)]), with accumulation its passes and its update: the
/// host hands the device its batches, its random state and the optimiser's numbers.
public final class Trainer implements AutoCloseable {
  private static final int LEAST_FINAL_TOKENS = 16_384;
  private static final double SMOOTHING = 0.05; // of the speed: about the last 20 steps

  private final Gpt model;
  private final Backend backend;
  private final TrainingData data;
  private final TrainOptions options;
  private final RandomBatches batches;
  private final AdamW optimizer;
  private final GradientClip clip;
  private @Nullable LossScale lossScale;
  private final Tensor lossSum;
  private final Tensor finite;
  private final LossOptions lossOptions;
  private final Tensor x;
  private final Tensor y;
  private final int[] inputs;
  private final int[] targets;
  private final Repeated whole = new Repeated(this::whole);
  private final Repeated pass = new Repeated(this::pass);
  private final Repeated update = new Repeated(this::updateAfterPasses);
  private TrainingState begin = TrainingState.START;
  private Watch watch = Watch.DEFAULT;

  /// What to do about numbers that are not finite.
  ///
  /// In F16 gradients that overflow at a loss scale above 1 are neither: the step changes nothing,
  /// the scale is halved and training goes on.
  ///
  /// @param skip how many steps in a row may have a loss or gradients that are not finite; such
  ///   steps change neither parameters nor the optimiser's state. One more ends the training
  /// @param check whether every operation of a step is watched, so that the first NaN or infinity
  ///   ends the training with a [NonFiniteException] that names where it was made; slow. Backward
  ///   operations in F16 are, while the loss scale is 1
  public record Watch(int skip, boolean check) {
    /// The first such step ends the training; operations are not watched.
    public static final Watch DEFAULT = new Watch(0, false);

    /// @throws IllegalArgumentException if `skip` is negative
    public Watch {
      TrainOptions.atLeast("steps to skip", skip, 0);
    }
  }

  /// What training came to.
  ///
  /// @param steps the steps that were taken
  /// @param trainLoss the mean loss of the last steps
  /// @param trainLossSteps how many those are: a tenth of the steps asked for, at most 100
  /// @param validation on the validation part; null if training was stopped before one was made
  /// @param validationIsWhole whether that is all of the validation part, or windows spread evenly
  ///   over it
  /// @param tokensPerSecond over the steps of this run, without evaluations and samples
  /// @param time of everything
  /// @param health what stood out in the steps
  /// @param profile where the time of the steps went; null unless [Settings#profile()] was set
  public record Result(
      int steps,
      double trainLoss,
      int trainLossSteps,
      @Nullable Evaluation validation,
      boolean validationIsWhole,
      double tokensPerSecond,
      Duration time,
      Health health,
      @Nullable StepProfile profile) {}

  /// The model computes in the options' precision, and recomputes or not, from now on.
  ///
  /// @throws IllegalArgumentException if the data are for a longer context than the model's
  public Trainer(Gpt model, TrainingData data, TrainOptions options) {
    if (data.context() > model.config().context()) {
      throw new IllegalArgumentException(
          "train: context of the data longer than the model's; got "
              + data.context()
              + " and "
              + model.config().context());
    }
    this.model = model;
    this.data = data;
    this.options = options;
    backend = model.backend();
    lossOptions = LossOptions.DEFAULT.withSmoothing(options.labelSmoothing());
    model.computeIn(options.precision());
    model.recompute(options.recompute());
    batches = data.trainingBatches(options.seed(), options.batch());
    TrainOptions.OptimizerOptions recipe = options.optimizer();
    optimizer =
        new AdamW(
            ParameterGroup.decayMatrices(model.trainableParameters(), recipe.weightDecay()),
            options.schedule(),
            AdamW.Options.DEFAULT.withBetas(recipe.beta1(), recipe.beta2()));
    clip =
        GradientClip.byGlobalNorm(
            backend, recipe.clip() == 0 ? Double.POSITIVE_INFINITY : recipe.clip());
    if (options.precision() == Precision.F16) {
      lossScale = new LossScale(backend, LossScale.Options.DEFAULT);
    }
    lossSum = Tensors.on(backend).zeros(DType.F32, Shape.scalar()).escape();
    finite = Tensors.on(backend).zeros(DType.F32, Shape.scalar()).escape();
    Shape batchShape = Shape.of(options.batch(), data.context());
    x = Tensors.on(backend).zeros(DType.I32, batchShape).escape();
    y = Tensors.on(backend).zeros(DType.I32, batchShape).escape();
    inputs = new int[Math.toIntExact(batchShape.elements())];
    targets = new int[inputs.length];
  }

  /// The optimiser's moments: the live tensors, to be saved beside the model's parameters.
  public SequencedMap<String, Tensor> optimizerState() {
    return optimizer.state();
  }

  /// Makes [#run] treat numbers that are not finite in another way than [Watch#DEFAULT].
  public void watch(Watch other) {
    watch = other;
  }

  /// Scales the loss in another way than [LossScale.Options#DEFAULT], in F16.
  void scaleLoss(LossScale.Options how) {
    LossScale before = lossScale;
    if (before != null) {
      before.close();
      lossScale = new LossScale(backend, how);
    }
  }

  /// Makes [#run] go on after the steps of `state`, as if it had taken them: the model's parameters
  /// and `optimizerState` must be those of then.
  ///
  /// @throws IOException if the file cannot be read, or has not the moments of these parameters
  /// @throws IllegalArgumentException if the state is not of a training with these options
  public void resume(TrainingState state, Path optimizerState) throws IOException {
    if (state.step() > options.steps()
        || state.window() != windowAfter(state.step())
        || state.randomStep() != passesBefore(state.step())) {
      throw new IllegalArgumentException(
          "train: state of another training; got step "
              + state.step()
              + ", window "
              + state.window()
              + " and random step "
              + state.randomStep()
              + " for "
              + options);
    }
    Map<String, String> _ = TensorFile.load(optimizerState, optimizer.state());
    optimizer.resume(state.step());
    if (lossScale != null) {
      lossScale.resume(state.lossScale());
    }
    begin = state;
  }

  private long passesBefore(int step) {
    return (long) step * options.accumulate();
  }

  private long windowAfter(int step) {
    return step * options.windowsPerStep();
  }

  /// Trains, from the first step, or the one that was resumed after, to the last or until `stop`
  /// says so after a step, or the thread is interrupted: then it ends in the same way, with a
  /// checkpoint where there are any, and the thread is interrupted again.
  ///
  /// @throws IOException if the listener does
  /// @throws NonFiniteLossException if too many steps in a row have a loss or gradients that are
  ///   not finite: see [Watch]. The parameters are those of the last good step
  /// @throws NonFiniteException where operations are watched, for the first NaN or infinity; and
  ///   where a parameter or moment that is to be saved is not finite
  public Result run(TrainingListener listener, BooleanSupplier stop) throws IOException {
    boolean[] interrupted = new boolean[1];
    BooleanSupplier stopOrInterrupt =
        () -> {
          interrupted[0] |= Thread.interrupted(); // else files could not be written any more
          return interrupted[0] || stop.getAsBoolean();
        };
    try {
      return train(listener, stopOrInterrupt);
    } finally {
      if (interrupted[0]) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private Result train(TrainingListener listener, BooleanSupplier stop) throws IOException {
    var progress = new Progress(listener);
    TrainOptions.Reports reports = options.reports();
    int checkpointEvery = options.checkpointing().every();
    int step = begin.step();
    if (step == 0 && reports.evaluateEvery() > 0) {
      boolean _ = progress.evaluated(0, evaluatePart());
    }
    if (step == 0 && reports.sampleEvery() > 0) {
      listener.sampleDue(0);
    }
    int saved = step;
    progress.resume();
    while (step < options.steps() && !stop.getAsBoolean()) {
      progress.began(step(++step));
      if (step == options.steps()) {
        break;
      }
      boolean evaluate = isDue(step, reports.evaluateEvery());
      boolean sample = isDue(step, reports.sampleEvery());
      boolean save = isDue(step, checkpointEvery);
      if (evaluate || sample || save) {
        progress.pause();
        if (evaluate) {
          save |= progress.evaluated(step, evaluatePart()) && checkpointEvery > 0;
        }
        if (sample) {
          listener.sampleDue(step);
        }
        if (save) {
          checkpoint(listener, progress.state(step));
          saved = step;
        }
        progress.resume();
      }
    }
    progress.pause();
    boolean whole = false;
    if (step == options.steps() && step > saved) {
      OrderedBatches last = data.evaluationBatches(options.batch(), finalWindows());
      Evaluation validation = Evaluation.of(model, last);
      whole = validation.tokens() == data.validationTargets();
      boolean _ = progress.evaluated(step, validation);
    }
    if (step > saved && checkpointEvery > 0) {
      checkpoint(listener, progress.state(step));
    }
    return progress.result(step, whole);
  }

  // What has been spoilt must not take the place of a good checkpoint.
  private void checkpoint(TrainingListener listener, TrainingState state) throws IOException {
    Numerics.requireFinite("checkpoint", model.state());
    Numerics.requireFinite("checkpoint", optimizer.state());
    listener.checkpointDue(state);
  }

  private static boolean isDue(int step, int every) {
    return every > 0 && step % every == 0;
  }

  private Evaluation evaluatePart() {
    long windows = (long) options.reports().evaluateBatches() * options.batch();
    return Evaluation.of(model, data.evaluationBatches(options.batch(), windows));
  }

  /// An eighth of the windows that were trained on, each a third of the work: the last evaluation
  /// costs about 4 % of the training, whatever the text's length. After a short training a little
  /// more, for a loss that means something.
  private long finalWindows() {
    long least = Math.max(1, LEAST_FINAL_TOKENS / data.context());
    return Math.max(least, options.steps() * options.windowsPerStep() / 8);
  }

  /// Enqueues step `step`, counted from 1.
  private Pending step(int step) {
    double rate = optimizer.rate();
    // In the first kernels are loaded and memory is asked for; what is captured cannot be watched.
    boolean eager = watch.check() || step == begin.step() + 1;
    optimizer.begin();
    DoubleSupplier scale = lossScale == null ? () -> 1 : lossScale.read();
    boolean backward = watch.check() && scale.getAsDouble() <= 1;
    try (var _ = backward ? model.checkNumerics() : null) {
      enqueue(step, eager);
    }
    return new Pending(step, rate, scale, DeviceScalar.read(lossSum), clip.readNorm());
  }

  private void enqueue(int step, boolean eager) {
    int passes = options.accumulate();
    if (passes == 1) {
      upload(passesBefore(step - 1));
      whole.run(eager);
    } else {
      var _ = lossSum.fillInPlace(0);
      for (int i = 0; i < passes; i++) {
        upload(passesBefore(step - 1) + i);
        pass.run(eager);
      }
      update.run(eager);
    }
  }

  /// Work that is the same in all steps but the first: it is captured when it is first run again.
  private final class Repeated {
    private final Runnable work;
    private @Nullable Replay replay;

    Repeated(Runnable work) {
      this.work = work;
    }

    void run(boolean eager) {
      if (eager) {
        work.run();
        return;
      }
      Replay captured = replay;
      if (captured == null) {
        captured = backend.capture(work);
        replay = captured;
      }
      captured.run();
    }

    void close() {
      if (replay != null) {
        replay.close();
      }
    }
  }

  // All of a step without accumulation: the same work each time, on whatever the arrays hold.
  private void whole() {
    try (var _ = Scope.open()) {
      var _ = lossSum.fillInPlace(0);
      pass();
      update();
    }
  }

  /// Hands the device batch `number`.
  private void upload(long number) {
    long batch = options.overfitOneBatch() ? number % options.accumulate() : number;
    batches.fill(batch, inputs, targets);
    model.generator().setStep(number);
    backend.upload(MemorySegment.ofArray(inputs), x.array());
    backend.upload(MemorySegment.ofArray(targets), y.array());
  }

  /// Adds the gradients of the batch, and its part of the step's loss.
  private void pass() {
    try (var _ = Scope.open()) {
      Tensor part = loss();
      if (lossScale == null) {
        part.backward();
      } else {
        part.backward(lossScale.seed());
      }
      try (var _ = GradMode.noGrad()) {
        var _ = lossSum.addInPlace(part);
      }
    }
  }

  // Watched here where the backward pass is not.
  private Tensor loss() {
    try (var _ = watch.check() && !Numerics.isChecking() ? model.checkNumerics() : null) {
      Tensor loss = model.loss(x, y, lossOptions);
      return options.accumulate() == 1 ? loss : loss.div(options.accumulate());
    }
  }

  private void update() {
    apply();
    optimizer.zeroGrad();
  }

  // A loss that is not finite stops the update as gradients do that are not.
  private void apply() {
    NdArray scale = clip.scale(optimizer.parameters(), lossScale);
    backend.binary(Binary.MULTIPLY, lossSum.array(), 0, finite.array());
    backend.binary(Binary.ADD, finite.array(), 1, finite.array()); // 1 or NaN
    backend.binary(Binary.MULTIPLY, scale, finite.array(), scale);
    optimizer.apply(scale);
    if (lossScale != null) {
      lossScale.update(scale);
    }
  }

  // The gradients stay, as zeros: each pass of the next step adds to them, the first too, so that
  // all are the same work.
  private void updateAfterPasses() {
    try (var _ = Scope.open()) {
      apply();
      for (Tensor parameter : optimizer.parameters()) {
        NdArray gradient = parameter.gradArray();
        if (gradient != null) {
          backend.fill(gradient, 0);
        }
      }
    }
  }

  /// Gives the memory of the optimiser back; the model stays.
  @Override
  public void close() {
    optimizer.zeroGrad();
    whole.close();
    pass.close();
    update.close();
    x.close();
    y.close();
    optimizer.close();
    clip.close();
    if (lossScale != null) {
      lossScale.close();
    }
    finite.close();
    lossSum.close();
  }

  /// A step under way.
  private record Pending(
      int step, double rate, DoubleSupplier lossScale, DoubleSupplier loss, DoubleSupplier norm) {}

  /// Reports steps one behind, and keeps the time.
  private final class Progress {
    private final TrainingListener listener;
    private final long start = System.nanoTime();
    private final long tokensPerStep = options.windowsPerStep() * data.context();
    private final RecentSteps recent = new RecentSteps(begin.losses(), begin.gradientNorms());
    private final @Nullable StepProfiler profiler =
        Settings.profile() ? new StepProfiler(backend, options.steps() - begin.step()) : null;
    private Health health = begin.health();
    private double bestLoss = begin.bestLoss();
    private @Nullable Evaluation validation = begin.validation();
    private int validationStep = begin.validationStep();
    private @Nullable Pending pending;
    private long mark = start;
    private long steppingNanos;
    private double recentNanos;
    private int badInARow;

    Progress(TrainingListener listener) {
      this.listener = listener;
    }

    void began(Pending next) throws IOException {
      report();
      pending = next;
      if (profiler != null) {
        profiler.began(next.step() - begin.step());
      }
    }

    private void report() throws IOException {
      Pending done = pending;
      if (done == null) {
        return;
      }
      pending = null;
      double loss = done.loss().getAsDouble();
      double norm = done.norm().getAsDouble();
      double scale = done.lossScale().getAsDouble();
      boolean overflow = scale > 1 && Double.isFinite(loss) && !Double.isFinite(norm);
      boolean spike = !overflow && recent.isSpike(loss, norm);
      recent.add(loss, norm);
      health = health.after(done.step(), loss, norm, overflow, spike);
      long nanos = lap();
      // The first step is slower by far (code is compiled, memory asked for) and soon forgotten.
      double share = Math.max(SMOOTHING, 1.0 / Math.max(1, done.step() - begin.step() - 1));
      recentNanos += share * (nanos - recentNanos);
      var report =
          new TrainingListener.StepReport(
              done.step(),
              loss,
              norm,
              done.rate(),
              tokensPerStep * 1e9 / recentNanos,
              spike,
              scale);
      StepEvent.commit(report, nanos);
      listener.stepped(report);
      boolean good = overflow || Double.isFinite(loss) && Double.isFinite(norm);
      badInARow = good ? 0 : badInARow + 1;
      if (badInARow > watch.skip()) {
        throw new NonFiniteLossException(done.step(), loss, norm, badInARow);
      }
    }

    /// Whether that is the lowest loss so far.
    boolean evaluated(int step, Evaluation evaluation) throws IOException {
      validation = evaluation;
      validationStep = step;
      listener.evaluated(step, evaluation);
      boolean best = evaluation.loss() < bestLoss;
      bestLoss = best ? evaluation.loss() : bestLoss;
      return best;
    }

    /// Nothing must be under way.
    TrainingState state(int step) {
      return new TrainingState(
          step,
          windowAfter(step),
          passesBefore(step),
          recent.losses(),
          recent.norms(),
          health,
          lossScale == null ? LossScale.State.INITIAL : lossScale.state(),
          bestLoss,
          validation,
          validationStep);
    }

    /// Waits for the steps under way and stops the clock.
    void pause() throws IOException {
      report();
      if (profiler != null) {
        profiler.pause();
      }
    }

    void resume() {
      if (profiler != null) {
        profiler.resume();
      }
      mark = System.nanoTime();
    }

    private long lap() {
      long now = System.nanoTime();
      long nanos = now - mark;
      mark = now;
      steppingNanos += nanos;
      return nanos;
    }

    Result result(int steps, boolean whole) {
      int asked = Math.clamp(options.steps() / 10, 1, RecentSteps.CAPACITY);
      int count = Math.min(steps, asked);
      return new Result(
          steps,
          recent.meanLoss(count),
          count,
          validation,
          whole,
          (steps - begin.step()) * tokensPerStep * 1e9 / steppingNanos,
          Duration.ofNanos(System.nanoTime() - start),
          health,
          profiler == null ? null : profiler.result(steps - begin.step()));
    }
  }
}
