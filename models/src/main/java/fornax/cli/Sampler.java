package fornax.cli;

import fornax.data.StreamingDecoder;
import fornax.data.Tokenizer;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.Sampling;
import fornax.models.gpt.TextGenerator;
import java.util.List;
import java.util.function.Predicate;

/// Lets a model write text.
final class Sampler {
  /// Livelier than the likeliest text, with fewer slips than at the model's own probabilities.
  static final double TEMPERATURE = 0.8;

  private static final long PATIENCE_NANOS = 10_000_000_000L;

  private final Gpt model;
  private final Tokenizer tokenizer;

  Sampler(Gpt model, Tokenizer tokenizer) {
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /// A text of `tokens` tokens, or of as many as a large model writes in a few seconds.
  String sample(int tokens, Sampling sampling) {
    StringBuilder text = new StringBuilder();
    long end = System.nanoTime() + PATIENCE_NANOS;
    stream(
        "",
        tokens,
        sampling,
        piece -> {
          text.append(piece);
          return System.nanoTime() < end;
        });
    return text.toString();
  }

  /// Hands the text after `prompt` to `sink` piece by piece, until it says false.
  ///
  /// @throws fornax.data.UnknownCharacterException if the vocabulary lacks a character of it
  void stream(String prompt, int tokens, Sampling sampling, Predicate<String> sink) {
    stream(prompt, tokens, List.of(sampling), (_, piece) -> sink.test(piece));
  }

  /// Takes the texts of several samples.
  @FunctionalInterface
  interface Sink {
    /// Takes the next piece of a sample; whether the sample goes on.
    boolean next(int sample, String piece);
  }

  /// Hands the texts after `prompt`, one for each of `samplings`, to `sink` piece by piece, as they
  /// are written at the same time.
  ///
  /// @throws fornax.data.UnknownCharacterException if the vocabulary lacks a character of it
  void stream(String prompt, int tokens, List<Sampling> samplings, Sink sink) {
    int[] start = prompt.isEmpty() ? new int[] {tokenizer.beginning()} : tokenizer.encode(prompt);
    List<StreamingDecoder> decoders =
        samplings.stream().map(_ -> tokenizer.streamingDecoder()).toList();
    new TextGenerator(model)
        .generate(
            start,
            tokens,
            samplings,
            (sample, token) -> sink.next(sample, decoders.get(sample).next(token)));
    for (int i = 0; i < decoders.size(); i++) {
      boolean _ = sink.next(i, decoders.get(i).end());
    }
  }

  /// `text` without what would move a terminal's cursor, and without empty lines round it.
  static String visible(String text) {
    return text.replaceAll("[\\p{Cntrl}&&[^\\n\\t]]", "?").strip();
  }
}
