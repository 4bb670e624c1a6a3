package fornax.models.learn;

import fornax.nn.Embedding;
import fornax.nn.Initializer;
import fornax.nn.Module;
import fornax.nn.Weights;
import fornax.tensor.Reduction;
import fornax.tensor.Tensor;

/// A vector for each word, and a second one for when it stands in another's context. Letters: N
/// words or pairs, V words in all, D numbers in a vector. Source: Mikolov et al., arXiv:1301.3781
/// and arXiv:1310.4546.
final class WordVectors extends Module {
  private static final double DEVIATION = 0.1;

  private final Embedding inputs;
  private final Embedding outputs;

  WordVectors(int words, int width, Weights weights) {
    inputs = child("inputs", new Embedding(weights, words, width, Initializer.normal(DEVIATION)));
    outputs = child("outputs", new Embedding(weights, words, width, Initializer.zeros()));
  }

  /// The words' vectors, `[V, D]`.
  Tensor vectors() {
    return inputs.weight();
  }

  /// CBOW: the mean of the context's vectors scores every word. Shapes: `contexts (I32) [N, 4],
  /// words (I32) [N] → []`.
  Tensor cbowLoss(Tensor contexts, Tensor words) {
    Tensor mean = inputs.forward(contexts).mean(1); // [N, D]
    return mean.matmul(outputs.weight().transpose()).crossEntropy(words); // of [N, V]
  }

  /// `u·v` for each pair. Shapes: `centres (I32) [N], contexts (I32) [N, K] → [N, K]`.
  Tensor scores(Tensor centres, Tensor contexts) {
    Tensor u = inputs.forward(centres).unsqueeze(1); // [N, 1, D]
    return u.mul(outputs.forward(contexts)).sum(2); // [N, K]
  }

  /// Skip-gram with negative sampling: `−log σ(u·v) − Σ log σ(−u·n)`. Shapes: `centres (I32) [N],
  /// contexts (I32) [N, 1 + K]`, the true one first, then noise.
  Tensor skipGramLoss(Tensor centres, Tensor contexts) {
    Tensor scores = scores(centres, contexts); // [N, 1 + K]
    Tensor isTrue = Tensor.range(contexts.dim(1)).eq(0); // [1 + K]
    Tensor targets = isTrue.to(scores.dtype()).expand(scores.shape().toArray()).contiguous();
    return scores.binaryCrossEntropyWithLogits(targets, Reduction.SUM).div(centres.elements());
  }
}
