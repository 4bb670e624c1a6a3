package fornax.models.gpt;

import fornax.array.Shape;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntPredicate;

/// Continues a sequence of tokens with a [Gpt].
///
/// A [GptCache] holds what the model knows of the tokens before, so that each further one costs a
/// pass over the parameters alone. A sequence that outgrows the context drops the first quarter of
/// what the model sees: the rest changes its positions and is read anew, once in a quarter of a
/// context. Of a prompt that is longer than the context, the model sees the last part.
public final class TextGenerator {
  private final Gpt model;

  public TextGenerator(Gpt model) {
    this.model = model;
  }

  /// Takes the tokens of several samples.
  @FunctionalInterface
  public interface Sink {
    /// Takes the next token of a sample; whether the sample goes on.
    boolean next(int sample, int token);
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
    generate(prompt, count, List.of(sampling), (_, token) -> sink.test(token));
  }

  /// Continues `prompt` once for each of `samplings`, all at the same time: a pass over the
  /// parameters serves all samples. Each gets at most `count` tokens, and none after `sink` said
  /// false to one of its tokens. The model is in evaluation mode meanwhile.
  ///
  /// @throws IllegalArgumentException if there are no samplings, or the prompt is empty or has a
  ///   token outside the vocabulary
  public void generate(int[] prompt, int count, List<Sampling> samplings, Sink sink) {
    check(model, prompt);
    if (samplings.isEmpty()) {
      throw new IllegalArgumentException("generate: no samplings; need at least one");
    }
    boolean training = model.isTraining();
    model.eval();
    try (var run = new Run(prompt, samplings)) {
      for (int i = 0; i < count && run.goesOn(); i++) {
        run.step(i, sink);
      }
    } finally {
      if (training) {
        model.train();
      }
    }
  }

  /// The samples of one call.
  private final class Run implements AutoCloseable {
    private final int context = model.config().context();
    private final List<Sampling> samplings;
    private final int[][] windows;
    private final BitSet[] seen;
    private final BitSet going = new BitSet();
    private final GptCache cache;
    private int length;

    Run(int[] prompt, List<Sampling> samplings) {
      this.samplings = samplings;
      int samples = samplings.size();
      length = Math.min(context, prompt.length);
      int[] window = Arrays.copyOfRange(prompt, prompt.length - length, prompt.length);
      windows = new int[samples][];
      seen = new BitSet[samples];
      for (int s = 0; s < samples; s++) {
        windows[s] = Arrays.copyOf(window, context);
        seen[s] = new BitSet();
        for (int token : prompt) {
          seen[s].set(token);
        }
      }
      going.set(0, samples);
      cache = new GptCache(model, samples);
    }

    boolean goesOn() {
      return !going.isEmpty();
    }

    void step(int draw, Sink sink) {
      float[] logits = logits();
      int vocabulary = model.config().vocabulary();
      int stay = length < context ? length : kept(context) - 1;
      if (stay < length) {
        cache.clear();
      }
      for (int s = 0; s < windows.length; s++) {
        int token = 0; // of a sample that has ended: its row is computed but not looked at
        if (going.get(s)) {
          float[] row = Arrays.copyOfRange(logits, s * vocabulary, (s + 1) * vocabulary);
          token = samplings.get(s).choose(row, draw, seen[s]);
          seen[s].set(token);
          going.set(s, sink.next(s, token));
        }
        System.arraycopy(windows[s], length - stay, windows[s], 0, stay);
        windows[s][stay] = token;
      }
      length = stay + 1;
    }

    // After each window: [B·V].
    private float[] logits() {
      try (var _ = GradMode.noGrad();
          var _ = Scope.open()) {
        return model.nextLogits(tokens((int) cache.length()), cache).toFloatArray();
      }
    }

    // The windows from `start` on: [B, T].
    private Tensor tokens(int start) {
      int each = length - start;
      int[] all = new int[windows.length * each];
      for (int s = 0; s < windows.length; s++) {
        System.arraycopy(windows[s], start, all, s * each, each);
      }
      return Tensors.on(model.backend()).of(all, Shape.of(windows.length, each));
    }

    @Override
    public void close() {
      cache.close();
    }
  }

  /// The tokens, the newest among them, that the model sees of a sequence that outgrows `context`.
  static int kept(int context) {
    return Math.max(1, context - Math.max(1, context / 4));
  }

  static void check(Gpt model, int[] prompt) {
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
