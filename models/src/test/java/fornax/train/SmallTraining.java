package fornax.train;

import fornax.backend.Backend;
import fornax.data.TokenDataset;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.Tensor;
import fornax.train.TrainOptions.Checkpointing;
import fornax.train.TrainOptions.OptimizerOptions;
import java.io.IOException;
import java.util.Objects;
import java.util.Random;

/// A training of a very small GPT with dropout on tokens from a seed, for tests of what is round
/// it.
final class SmallTraining implements AutoCloseable {
  private static final GptConfig CONFIG = new GptConfig(13, 16, 2, 2, 24, 0.1);
  private static final OptimizerOptions RECIPE =
      new OptimizerOptions(1e-2, 1e-3, 2, 0.9, 0.99, 0.1, 1);

  final Gpt model;
  final Trainer trainer;

  /// @param checkpointEvery 0: never
  SmallTraining(Backend backend, int steps, int checkpointEvery) throws IOException {
    this(backend, steps, checkpointEvery, 1, Precision.F32);
  }

  /// @param checkpointEvery 0: never
  SmallTraining(
      Backend backend, int steps, int checkpointEvery, int accumulate, Precision precision)
      throws IOException {
    int[] tokens = new Random(5).ints(3000, 0, 13).map(n -> n * n % 13).toArray();
    TrainOptions options =
        TrainOptions.builder(steps, 4, RECIPE)
            .seed(7)
            .accumulate(accumulate)
            .precision(precision)
            .checkpointing(new Checkpointing(checkpointEvery, 2))
            .build();
    model = new Gpt(CONFIG, Weights.on(backend, 7));
    trainer = new Trainer(model, TokenDataset.of(tokens, CONFIG.context()), options);
  }

  /// Trains to the end; returns the losses.
  double[] run() throws IOException {
    var recorder = new TrainerTest.Recorder();
    Trainer.Result _ = trainer.run(recorder, () -> false);
    return recorder.losses();
  }

  Tensor parameter(String path) {
    return Objects.requireNonNull(model.parameters().get(path), path);
  }

  /// All parameters, one after the other.
  float[] weights() {
    float[] all = new float[Math.toIntExact(model.parameterCount())];
    int at = 0;
    for (Tensor parameter : model.parameters().values()) {
      float[] values = parameter.toFloatArray();
      System.arraycopy(values, 0, all, at, values.length);
      at += values.length;
    }
    return all;
  }

  boolean momentsAreFinite() {
    for (Tensor moment : trainer.optimizerState().values()) {
      for (float value : moment.toFloatArray()) {
        if (!Float.isFinite(value)) {
          return false;
        }
      }
    }
    return true;
  }

  @Override
  public void close() {
    trainer.close();
    model.close();
  }
}
