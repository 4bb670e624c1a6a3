package fornax.train;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.data.OrderedBatches;
import fornax.models.gpt.Gpt;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.function.DoubleSupplier;

/// How well a model predicts a text.
///
/// @param loss the mean cross-entropy of a token, in nats
/// @param tokens how many were predicted
public record Evaluation(double loss, long tokens) {
  /// e to the loss: the number of equally likely tokens that would be as hard to predict.
  public double perplexity() {
    return StrictMath.exp(loss);
  }

  /// Evaluates `model` on `batches`; it is in evaluation mode meanwhile. Sums are in double
  /// precision, in the order of the batches. The host waits for a batch only when the next one is
  /// under way.
  public static Evaluation of(Gpt model, OrderedBatches batches) {
    Backend backend = model.backend();
    Shape shape = Shape.of(batches.rows(), batches.context());
    int[] inputs = new int[Math.toIntExact(shape.elements())];
    int[] targets = new int[inputs.length];
    boolean training = model.isTraining();
    model.eval();
    try (var _ = GradMode.noGrad()) {
      double sum = 0;
      long tokens = 0;
      DoubleSupplier before = () -> 0;
      for (int i = 0; i < batches.count(); i++) {
        int counted = batches.fill(i, inputs, targets);
        DoubleSupplier mean;
        try (var _ = Scope.open()) {
          Tensor x = Tensors.on(backend).of(inputs, shape);
          Tensor y = Tensors.on(backend).of(targets, shape);
          mean = DeviceScalar.read(model.loss(x, y));
        }
        sum += before.getAsDouble();
        before = () -> mean.getAsDouble() * counted;
        tokens += counted;
      }
      sum += before.getAsDouble();
      return new Evaluation(sum / tokens, tokens);
    } finally {
      if (training) {
        model.train();
      }
    }
  }
}
