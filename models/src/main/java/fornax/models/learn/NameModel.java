package fornax.models.learn;

import fornax.backend.Backend;
import fornax.nn.Activation;
import fornax.nn.BatchNorm;
import fornax.nn.Dropout;
import fornax.nn.Embedding;
import fornax.nn.Layer;
import fornax.nn.Linear;
import fornax.nn.Module;
import fornax.nn.Sequential;
import fornax.nn.Weights;
import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Predicts a letter from those before it: their vectors side by side, hidden layers, and a score
/// for each letter. Shapes: `windows (I32) [N, context] → logits [N, letters]`. Source: Bengio et
/// al., JMLR 3 (2003).
final class NameModel extends Module {
  private static final int LONGEST = 15;

  private final Sizes sizes;
  private final Generator generator;
  private final Embedding table;
  private final Sequential layers;

  /// @param context how many letters it sees
  /// @param vector the size of a letter's vector
  /// @param hidden the width of a hidden layer
  /// @param depth the number of hidden layers
  /// @param normalised whether hidden layers are batch-normalised, with some dropout
  record Sizes(int context, int vector, int hidden, int depth, boolean normalised) {
    static final Sizes SMALL = new Sizes(3, 2, 100, 1, false);
    static final Sizes WIDE = new Sizes(6, 16, 200, 2, true);
  }

  NameModel(Sizes sizes, int letters, Weights weights) {
    this.sizes = sizes;
    generator = new Generator(weights.backend(), weights.seed());
    table = child("letters", new Embedding(weights, letters, sizes.vector()));
    List<Layer> list = new ArrayList<>();
    int width = sizes.context() * sizes.vector();
    for (int i = 0; i < sizes.depth(); i++) {
      list.add(new Linear(weights, width, sizes.hidden()));
      if (sizes.normalised()) {
        list.add(new BatchNorm(weights, sizes.hidden()));
      }
      list.add(Activation.tanh());
      if (sizes.normalised()) {
        list.add(new Dropout(0.3, generator));
      }
      width = sizes.hidden();
    }
    list.add(new Linear(weights, width, letters));
    layers = child("layers", new Sequential(list));
  }

  Sizes sizes() {
    return sizes;
  }

  /// The vectors of the letters, `[letters, vector]`.
  Tensor table() {
    return table.weight();
  }

  Tensor logits(Tensor windows) {
    Tensor vectors = table.forward(windows); // [N, context, vector]
    return layers.forward(vectors.reshape(windows.dim(0), -1)); // [N, letters]
  }

  /// The mean cross entropy of the letters `next` after `windows`, of step `step`.
  Tensor loss(Tensor windows, Tensor next, long step) {
    generator.setStep(step);
    return logits(windows).crossEntropy(next);
  }

  /// Draws `count` words, all at once, letter by letter until the dot (letter 0).
  List<String> sample(int count, String letters, long seed) {
    List<StringBuilder> words = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      words.add(new StringBuilder());
    }
    int context = sizes.context();
    int[] windows = new int[count * context];
    boolean[] ended = new boolean[count];
    eval();
    try (var _ = GradMode.noGrad();
        var draws = new Generator(generatorBackend(), seed)) {
      for (int step = 0; step < LONGEST; step++) {
        int[] next;
        try (var _ = Scope.open()) {
          draws.setStep(step);
          Tensor probabilities = logits(Tensor.of(windows, count, context)).softmax(-1);
          next = probabilities.multinomial(draws).toIntArray();
        }
        for (int i = 0; i < count; i++) {
          System.arraycopy(windows, i * context + 1, windows, i * context, context - 1);
          windows[i * context + context - 1] = next[i];
          ended[i] |= next[i] == 0;
          if (!ended[i]) {
            words.get(i).append(letters.charAt(next[i]));
          }
        }
      }
    }
    train();
    return words.stream().map(StringBuilder::toString).toList();
  }

  private Backend generatorBackend() {
    return table.weight().backend();
  }

  @Override
  public void close() {
    super.close();
    generator.close();
  }
}
