package fornax.benchmarks;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.models.gpt.Gpt;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/// A GPT with AdamW and a source of random tokens: forward, backward, update, no clipping, no
/// dropout, no loss scale.
final class TrainingStep implements AutoCloseable {
  private static final long SEED = 1;
  private static final double RATE = 3e-4;
  private static final double WEIGHT_DECAY = 0.1;

  private final TrainingShape shape;
  private final Backend backend;
  private final Gpt model;
  private final AdamW optimizer;
  private final Tensor loss;
  private final Random random = new Random(SEED);
  private final int[] inputs;
  private final int[] targets;
  private final Tensor one;
  private @Nullable Tensor x;
  private @Nullable Tensor y;

  /// What one step took.
  record Times(long forwardNanos, long backwardNanos, long updateNanos) {
    long total() {
      return forwardNanos + backwardNanos + updateNanos;
    }
  }

  TrainingStep(Backend backend, TrainingShape shape, Precision precision) {
    this.backend = backend;
    this.shape = shape;
    model = new Gpt(shape.model(), Weights.on(backend, SEED));
    model.computeIn(precision);
    optimizer =
        new AdamW(
            ParameterGroup.of(model.parameters(), WEIGHT_DECAY),
            Schedule.constant(RATE),
            AdamW.Options.DEFAULT);
    loss = Tensors.on(backend).zeros(DType.F32, Shape.scalar()).escape();
    one = Tensors.on(backend).ones(DType.F32, Shape.scalar()).escape();
    inputs = new int[shape.tokens()];
    targets = new int[inputs.length];
  }

  /// One step on new tokens. With `phases` it waits for the device after each part; without, only
  /// at the end, and the parts are the times their calls took.
  Times run(boolean phases) {
    fill(inputs);
    fill(targets);
    Shape size = Shape.of(shape.batch(), shape.model().context());
    try (var _ = Scope.open()) {
      Tensor x = Tensors.on(backend).of(inputs, size);
      Tensor y = Tensors.on(backend).of(targets, size);
      long start = System.nanoTime();
      Tensor mean = model.loss(x, y);
      waitIf(phases);
      long forward = System.nanoTime();
      mean.backward();
      waitIf(phases);
      long backward = System.nanoTime();
      optimizer.step();
      optimizer.zeroGrad();
      backend.synchronize();
      long update = System.nanoTime();
      backend.copy(mean.array(), loss.array());
      return new Times(forward - start, backward - forward, update - backward);
    }
  }

  /// Makes a batch and the optimiser's numbers ready for [#enqueue()].
  void prepare() {
    fill(inputs);
    fill(targets);
    optimizer.begin();
    Shape size = Shape.of(shape.batch(), shape.model().context());
    try (var scope = Scope.open()) {
      x = scope.keep(Tensors.on(backend).of(inputs, size)).escape();
      y = scope.keep(Tensors.on(backend).of(targets, size)).escape();
    }
  }

  /// Enqueues a step on what [#prepare()] made ready, the same each time, and waits for nothing.
  void enqueue() {
    Tensor tokens = x;
    Tensor wanted = y;
    if (tokens == null || wanted == null) {
      throw new IllegalStateException("bench: no batch; need prepare() first");
    }
    try (var _ = Scope.open()) {
      Tensor mean = model.loss(tokens, wanted);
      mean.backward();
      optimizer.apply(one.array());
      optimizer.zeroGrad();
      backend.copy(mean.array(), loss.array());
    }
  }

  private void waitIf(boolean wanted) {
    if (wanted) {
      backend.synchronize();
    }
  }

  private void fill(int[] tokens) {
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = random.nextInt(shape.model().vocabulary());
    }
  }

  /// The loss of the last step.
  double loss() {
    return loss.item();
  }

  @Override
  public void close() {
    optimizer.close();
    loss.close();
    one.close();
    for (Tensor batch : new @Nullable Tensor[] {x, y}) {
      if (batch != null) {
        batch.close();
      }
    }
    model.close();
  }
}
