package fornax.models.gpt;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// The sizes of a [Gpt].
///
/// @param vocabulary the number of tokens
/// @param context the longest sequence
/// @param layers the number of blocks
/// @param heads the attention heads of a block; width is divisible by them
/// @param width the size of a position's vector
/// @param dropout the probability of dropping embeddings, attention weights and blocks' results in
///   training
public record GptConfig(
    int vocabulary, int context, int layers, int heads, int width, double dropout) {
  /// The tokens of GPT-2's byte-pair encoding.
  public static final int GPT2_VOCABULARY = 50_257;

  private static final Map<String, GptConfig> PRESETS = presets();

  /// @throws IllegalArgumentException if a size is not positive, the width is not divisible by the
  ///   heads, or dropout is outside `[0, 1)`
  public GptConfig {
    positive("vocabulary", vocabulary);
    positive("context", context);
    positive("layers", layers);
    positive("heads", heads);
    positive("width", width);
    if (width % heads != 0) {
      int below = width / heads * heads;
      throw new IllegalArgumentException(
          "gpt: width not divisible by heads; got width "
              + width
              + " and heads "
              + heads
              + "; need a multiple; e.g. "
              + (below > 0 ? below + " or " : "")
              + ((long) below + heads));
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new IllegalArgumentException(
          "gpt: dropout not usable; got " + dropout + "; need 0 <= dropout < 1");
    }
  }

  private static void positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(
          "gpt: " + name + " not positive; got " + value + "; need at least 1");
    }
  }

  private static Map<String, GptConfig> presets() {
    SequencedMap<String, GptConfig> all = new LinkedHashMap<>();
    all.put("nano", of(64, 4, 4, 128)); // learns characters in minutes on a CPU
    all.put("baby", of(256, 6, 6, 384)); // nanoGPT's train_shakespeare_char
    all.put("gpt2", of(1024, 12, 12, 768)); // the four of GPT-2, as released
    all.put("gpt2-medium", of(1024, 24, 16, 1024));
    all.put("gpt2-large", of(1024, 36, 20, 1280));
    all.put("gpt2-xl", of(1024, 48, 25, 1600));
    // The eight of GPT-3: arXiv:2005.14165, table 2.1. Two of its rows contradict themselves, so
    // that width = heads × head size cannot hold: XL says 24 heads of 128 at width 2048, where this
    // takes 16 heads; 13B says 40 heads of 128 at width 5140, where this takes width 5120.
    all.put("gpt3-small", of(2048, 12, 12, 768));
    all.put("gpt3-medium", of(2048, 24, 16, 1024));
    all.put("gpt3-large", of(2048, 24, 16, 1536));
    all.put("gpt3-xl", of(2048, 24, 16, 2048));
    all.put("gpt3-2.7b", of(2048, 32, 32, 2560));
    all.put("gpt3-6.7b", of(2048, 32, 32, 4096));
    all.put("gpt3-13b", of(2048, 40, 40, 5120));
    all.put("gpt3-175b", of(2048, 96, 96, 12_288));
    return Collections.unmodifiableMap(all);
  }

  private static GptConfig of(int context, int layers, int heads, int width) {
    return new GptConfig(GPT2_VOCABULARY, context, layers, heads, width, 0);
  }

  /// The names that [#preset(String)] takes, smallest first.
  public static List<String> presetNames() {
    return List.copyOf(PRESETS.keySet());
  }

  /// A size with a name: `nano`, `baby`, `gpt2`, ..., `gpt3-175b`; with GPT-2's vocabulary and
  /// without dropout.
  ///
  /// @throws IllegalArgumentException if there is none of this name
  public static GptConfig preset(String name) {
    GptConfig config = PRESETS.get(name);
    if (config == null) {
      throw new IllegalArgumentException(
          "preset: unknown; got " + name + "; need one of " + String.join(", ", PRESETS.keySet()));
    }
    return config;
  }

  /// This with another vocabulary.
  public GptConfig withVocabulary(int tokens) {
    return new GptConfig(tokens, context, layers, heads, width, dropout);
  }

  /// This with another context.
  public GptConfig withContext(int length) {
    return new GptConfig(vocabulary, length, layers, heads, width, dropout);
  }

  /// This with dropout.
  public GptConfig withDropout(double probability) {
    return new GptConfig(vocabulary, context, layers, heads, width, probability);
  }

  /// The number of parameters, without making them. The output head is the token table itself and
  /// counts once.
  ///
  /// @throws ArithmeticException if it is 2⁶³ or more
  public long parameterCount() {
    long c = width;
    long weights = Math.multiplyExact(12 * c, c); // 4 of attention, 8 of the feed-forward layers
    long vectors = 13 * c; // 9 biases, of which one is 3 wide and one 4, and two norms
    long norm = 2 * c;
    long embeddings = Math.multiplyExact((long) vocabulary + context, c);
    long block = Math.addExact(weights, vectors);
    return Math.addExact(embeddings, Math.addExact(Math.multiplyExact(layers, block), norm));
  }
}
