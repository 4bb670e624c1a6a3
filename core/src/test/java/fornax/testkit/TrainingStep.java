package fornax.testkit;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.nn.CausalSelfAttention;
import fornax.nn.Dropout;
import fornax.nn.Embedding;
import fornax.nn.LayerNorm;
import fornax.nn.Linear;
import fornax.nn.Sequential;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;

/// A small transformer that learns one batch: embedding, attention, norm, dropout, loss, backward,
/// clipping and AdamW.
final class TrainingStep implements AutoCloseable {
  private static final int WIDTH = 8;
  private static final int VOCABULARY = 7;

  private final Backend backend;
  private final Generator generator;
  private final Sequential model;
  private final AdamW optimizer;
  private final GradientClip clip;

  TrainingStep(Backend backend) {
    this.backend = backend;
    generator = new Generator(backend, 1);
    Weights weights = Weights.on(backend, 3);
    var dropout = new Dropout(0.1, generator);
    model =
        new Sequential(
            new Embedding(weights, VOCABULARY, WIDTH),
            new LayerNorm(weights, WIDTH),
            CausalSelfAttention.of(weights, WIDTH, 2, dropout),
            new Linear(weights, WIDTH, VOCABULARY));
    optimizer = new AdamW(ParameterGroup.of(model.parameters(), 0.1), Schedule.constant(1e-2));
    clip = GradientClip.byGlobalNorm(backend, 1);
  }

  /// Makes a step; the loss before it.
  float step() {
    Tensors on = Tensors.on(backend);
    generator.setStep(1);
    try (var _ = Scope.open()) {
      Tensor tokens = on.of(new int[] {1, 6, 0, 3, 3, 5}, Shape.of(2, 3));
      Tensor targets = on.of(new int[] {0, 6, 2, 1, 1, 4}, Shape.of(6));
      Tensor loss = model.forward(tokens).reshape(6, VOCABULARY).crossEntropy(targets);
      loss.backward();
      optimizer.step(clip.scale(optimizer.parameters()));
      return (float) loss.item();
    } finally {
      optimizer.zeroGrad();
    }
  }

  @Override
  public void close() {
    clip.close();
    optimizer.close();
    model.close();
    generator.close();
  }
}
