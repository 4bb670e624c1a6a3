package fornax.models.gpt;

import fornax.array.Shape;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Arrays;
import java.util.function.IntPredicate;

/// Continues a sequence of tokens with a [Gpt]. Where the sequence outgrows the context, the model
/// sees its last part.
public final class TextGenerator {
  private final Gpt model;

  public TextGenerator(Gpt model) {
    this.model = model;
  }

  /// The `count` tokens after `prompt`.
  ///
  /// @throws IllegalArgumentException if the prompt is empty or has a token outside the vocabulary
  public int[] generate(int[] prompt, int count, Sampling sampling) {
    int[] tokens = new int[count];
    int[] filled = {0};
    generate(
        prompt,
        count,
        sampling,
        token -> {
          tokens[filled[0]++] = token;
          return true;
        });
    return tokens;
  }

  /// Hands the tokens after `prompt` to `sink` one by one, at most `count` of them, until it says
  /// false. The model is in evaluation mode meanwhile.
  ///
  /// @throws IllegalArgumentException if the prompt is empty or has a token outside the vocabulary
  public void generate(int[] prompt, int count, Sampling sampling, IntPredicate sink) {
    check(prompt);
    int context = model.config().context();
    int[] window = Arrays.copyOf(prompt, Math.max(context, prompt.length));
    int length = prompt.length;
    if (length > context) {
      window = Arrays.copyOfRange(prompt, length - context, length);
      length = context;
    }
    boolean training = model.isTraining();
    model.eval();
    try {
      for (int i = 0; i < count; i++) {
        int token = sampling.choose(nextLogits(Arrays.copyOf(window, length)), i);
        if (!sink.test(token)) {
          return;
        }
        if (length == context) {
          System.arraycopy(window, 1, window, 0, --length);
        }
        window[length++] = token;
      }
    } finally {
      if (training) {
        model.train();
      }
    }
  }

  private float[] nextLogits(int[] tokens) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor input = Tensors.on(model.backend()).of(tokens, Shape.of(1, tokens.length));
      return model.nextLogits(input).toFloatArray();
    }
  }

  private void check(int[] prompt) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("generate: empty prompt; need at least one token");
    }
    for (int token : prompt) {
      if (token < 0 || token >= model.config().vocabulary()) {
        throw new IllegalArgumentException(
            "generate: token outside the vocabulary; got "
                + token
                + "; need 0 <= token < "
                + model.config().vocabulary());
      }
    }
  }
}
