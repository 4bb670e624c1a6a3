package fornax.nn;

import fornax.tensor.Generator;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Low-rank adaptation: a trained model's parameters stay as they are, and each of its [Linear]
/// layers learns a small difference, the product of two thin matrices.
///
/// ```java
/// Lora.apply(gpt, Lora.Options.ofRank(8), Weights.on(backend, 1), gpt.generator());
/// try (var optimizer = new AdamW(ParameterGroup.of(gpt.trainableParameters(), 0), schedule)) {
///   ...
/// }
/// Lora.merge(gpt); // the differences become part of the weights
/// ```
///
/// Source: arXiv:2106.09685.
public final class Lora {
  private Lora() {}

  /// How layers are adapted.
  ///
  /// @param rank the inner size of the two matrices
  /// @param alpha their product counts `alpha / rank` times
  /// @param dropout the probability with which the adapter's inputs are dropped in training
  public record Options(int rank, double alpha, double dropout) {
    /// @throws IllegalArgumentException if rank or alpha is not positive, or dropout outside `[0,
    ///   1)`
    public Options {
      if (rank < 1 || !(alpha > 0) || alpha == Double.POSITIVE_INFINITY) {
        throw new IllegalArgumentException(
            "lora: rank and alpha not usable; got "
                + rank
                + " and "
                + alpha
                + "; need at least 1 and a number above 0");
      }
      double _ = Dropout.checkProbability(dropout);
    }

    /// Alpha as large as the rank, no dropout.
    public static Options ofRank(int rank) {
      return new Options(rank, rank, 0);
    }

    /// This with another alpha.
    public Options withAlpha(double other) {
      return new Options(rank, other, dropout);
    }

    /// This with dropout.
    public Options withDropout(double probability) {
      return new Options(rank, alpha, probability);
    }

    /// What the product of the two matrices is multiplied by.
    public double scale() {
      return alpha / rank;
    }
  }

  /// Freezes all parameters of `module` and gives each [Linear] of it a [LoraAdapter], a part of
  /// the name `lora`. What the module computes is the same until the adapters have learnt.
  ///
  /// @param weights where the adapters start: on the module's device
  /// @param generator of dropout
  /// @throws IllegalArgumentException if there is no linear layer, or there are adapters already
  public static void apply(Module module, Options options, Weights weights, Generator generator) {
    List<Linear> layers = layers(module);
    if (layers.isEmpty()) {
      throw new IllegalArgumentException(
          "lora: no linear layer in " + module + "; need one to adapt");
    }
    for (Linear layer : layers) {
      if (layer.adapter() != null) {
        throw new IllegalArgumentException(
            "lora: " + module + " has adapters already; need them merged first");
      }
    }
    module.freeze();
    for (Linear layer : layers) {
      layer.adapt(new LoraAdapter(weights, layer.weight(), options, generator));
    }
  }

  /// Adds each adapter's product to its layer's weight and removes the adapters; what the module
  /// computes is the same but for rounding. All parameters can be trained again.
  public static void merge(Module module) {
    layers(module).forEach(Linear::mergeAdapter);
    for (Tensor parameter : module.parameters().values()) {
      Tensor _ = parameter.requiresGrad(true);
    }
  }

  private static List<Linear> layers(Module module) {
    List<Linear> found = new ArrayList<>();
    collect(module, found);
    return found;
  }

  private static void collect(Module module, List<Linear> found) {
    if (module instanceof Linear linear) {
      found.add(linear);
    } else {
      module.children().values().forEach(part -> collect(part, found));
    }
  }
}
