package fornax.models.learn;

import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.awt.Color;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/// Vectors of words from the company they keep, by CBOW and by skip-gram, on Dickens.
final class Word2vec implements Rung {
  private static final int WIDTH = 32;
  private static final int WINDOW = 2; // words on each side
  private static final int NEGATIVES = 5;
  private static final double NOISE_EXPONENT = 0.75; // arXiv:1310.4546 §2.2
  private static final int CBOW_BATCH = 512;
  private static final int PAIR_BATCH = 2048;
  private static final int SHOWN = 4;
  private static final List<String> QUERIES =
      List.of("he", "said", "mother", "night", "house", "old", "hand");
  private static final List<String> DRAWN =
      List.of(
          "he",
          "she",
          "they",
          "him",
          "her",
          "them",
          "his",
          "their",
          "said",
          "replied",
          "returned",
          "cried",
          "night",
          "day",
          "morning",
          "evening",
          "mother",
          "father",
          "child",
          "man",
          "house",
          "door",
          "room",
          "street",
          "head",
          "hand",
          "eyes",
          "face",
          "was",
          "were",
          "is",
          "are");

  @Override
  public String name() {
    return "word2vec";
  }

  @Override
  public String title() {
    return "vectors of words from their contexts, by CBOW and skip-gram, on Dickens";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    Vocabulary text = Vocabulary.ofDickens(lesson.choose(5, 100));
    lesson.say(
        "%,d words to learn from, %,d held out, %,d different ones",
        text.training().length, text.heldOut().length, text.size());
    cbow(lesson, text);
    skipGram(lesson, text);
  }

  /// The words around place `at`.
  private static void context(int[] words, int at, int[] to, int offset) {
    int next = offset;
    for (int d = -WINDOW; d <= WINDOW; d++) {
      if (d != 0) {
        to[next++] = words[at + d];
      }
    }
  }

  /// The mean loss of the places `places` of `words`.
  private static Tensor cbowLoss(WordVectors model, int[] words, int[] places) {
    int[] contexts = new int[places.length * 2 * WINDOW];
    int[] centres = new int[places.length];
    for (int i = 0; i < places.length; i++) {
      context(words, places[i], contexts, i * 2 * WINDOW);
      centres[i] = words[places[i]];
    }
    return model.cbowLoss(Tensor.of(contexts, places.length, 2 * WINDOW), Tensor.of(centres));
  }

  private static void cbow(Lesson lesson, Vocabulary text) {
    int steps = lesson.choose(1000, 250);
    int batch = lesson.choose(CBOW_BATCH, CBOW_BATCH / 4);
    Random random = lesson.random(1);
    try (var model = new WordVectors(text.size(), WIDTH, Weights.seeded(lesson.setup().seed()));
        var optimizer = optimizer(model, steps)) {
      int[] words = text.training();
      var _ =
          lesson.train(steps, optimizer, _ -> cbowLoss(model, words, places(random, words, batch)));
      double loss = heldOutCbow(lesson, model, text.heldOut());
      lesson.say(
          "CBOW: held-out loss %.4f nats a word; unigram entropy %.4f, its held-out loss" + " %.4f",
          loss, text.entropy(), text.heldOutUnigramLoss());
      lesson.figure("cbowLoss", loss);
      lesson.figure("unigramEntropy", text.entropy());
      lesson.figure("unigramLoss", text.heldOutUnigramLoss());
    }
  }

  private static AdamW optimizer(WordVectors model, int steps) {
    return new AdamW(
        ParameterGroup.of(model.parameters(), 0.1), Schedule.linear(5e-3, 0, 0, steps));
  }

  private static int[] places(Random random, int[] words, int count) {
    return IntStream.generate(() -> WINDOW + random.nextInt(words.length - 2 * WINDOW))
        .limit(count)
        .toArray();
  }

  private static double heldOutCbow(Lesson lesson, WordVectors model, int[] words) {
    int all = words.length - 2 * WINDOW;
    int count = lesson.choose(all, Math.min(all, 4 * CBOW_BATCH));
    double sum = 0;
    for (int start = 0; start < count; start += CBOW_BATCH) {
      int size = Math.min(CBOW_BATCH, count - start);
      int[] places = IntStream.range(WINDOW + start, WINDOW + start + size).toArray();
      try (var _ = GradMode.noGrad();
          var _ = Scope.open()) {
        sum += size * cbowLoss(model, words, places).item();
      }
    }
    return sum / count;
  }

  /// A word and one near it for each place, then noise.
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Pairs(int[] centres, int[] contexts) {
    static Pairs of(int[] words, int[] places, Vocabulary.Noise noise, int noises, Random random) {
      int[] centres = new int[places.length];
      int[] contexts = new int[places.length * (1 + noises)];
      for (int i = 0; i < places.length; i++) {
        int distance = 1 + random.nextInt(WINDOW);
        centres[i] = words[places[i]];
        contexts[i * (1 + noises)] =
            words[places[i] + (random.nextBoolean() ? distance : -distance)];
        for (int k = 1; k <= noises; k++) {
          contexts[i * (1 + noises) + k] = noise.draw(random);
        }
      }
      return new Pairs(centres, contexts);
    }

    Tensor contextTensor() {
      return Tensor.of(contexts, centres.length, contexts.length / centres.length);
    }
  }

  private static void skipGram(Lesson lesson, Vocabulary text) throws IOException {
    int steps = lesson.choose(3000, 600);
    int batch = lesson.choose(PAIR_BATCH, PAIR_BATCH / 8);
    Random random = lesson.random(2);
    Vocabulary.Noise noise = text.new Noise(NOISE_EXPONENT);
    int[] words = text.training();
    try (var model = new WordVectors(text.size(), WIDTH, Weights.seeded(lesson.setup().seed()));
        var optimizer = optimizer(model, steps)) {
      var _ =
          lesson.train(
              steps,
              optimizer,
              _ -> {
                int[] places = places(random, words, batch);
                Pairs pairs = Pairs.of(words, places, noise, NEGATIVES, random);
                return model.skipGramLoss(Tensor.of(pairs.centres()), pairs.contextTensor());
              });
      double any = trueAboveNoise(model, text, text.new Noise(0), random);
      double frequent = trueAboveNoise(model, text, noise, random);
      lesson.say(
          "skip-gram: held-out pairs score above pairs with a word of the vocabulary drawn"
              + " at random in %.1f %% of draws, drawn as in training (count^0.75) in %.1f %%",
          100 * any, 100 * frequent);
      lesson.figure("trueAboveNoise", any);
      lesson.figure("trueAboveFrequentNoise", frequent);
      show(lesson, text, model);
    }
  }

  /// How often a held-out pair scores higher than the same word with a noise word.
  private static double trueAboveNoise(
      WordVectors model, Vocabulary text, Vocabulary.Noise noise, Random random) {
    int[] places = places(random, text.heldOut(), 4 * PAIR_BATCH);
    Pairs pairs = Pairs.of(text.heldOut(), places, noise, 1, random);
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      float[] scores =
          model.scores(Tensor.of(pairs.centres()), pairs.contextTensor()).toFloatArray();
      int above = 0;
      for (int i = 0; i < places.length; i++) {
        above += scores[2 * i] > scores[2 * i + 1] ? 1 : 0;
      }
      return (double) above / places.length;
    }
  }

  private static void show(Lesson lesson, Vocabulary text, WordVectors model) throws IOException {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor vectors = model.vectors();
      Tensor unit = vectors.div(vectors.square().sum(1, true).sqrt()); // [V, D], length 1
      for (String word : known(text, QUERIES)) {
        int at = text.index(word);
        List<String> near = nearest(text, unit, unit.select(0, at), List.of(at));
        lesson.say("  near %-8s %s", word, String.join(", ", near));
        lesson.list("near " + word, near);
      }
      analogy(lesson, text, unit, "his", "he", "she");
      analogy(lesson, text, unit, "him", "he", "they");
      analogy(lesson, text, unit, "was", "is", "are");
      lesson.picture("words", plot(text, unit));
    }
  }

  /// Those of `words` that the text has often enough.
  private static List<String> known(Vocabulary text, List<String> words) {
    return words.stream().filter(text.words()::contains).toList();
  }

  /// `a − b + c`: what is to c as a is to b.
  private static void analogy(
      Lesson lesson, Vocabulary text, Tensor unit, String a, String b, String c) {
    List<Integer> given = List.of(text.index(a), text.index(b), text.index(c));
    Tensor point =
        unit.select(0, given.get(0))
            .sub(unit.select(0, given.get(1)))
            .add(unit.select(0, given.get(2)));
    List<String> near = nearest(text, unit, point, given);
    lesson.say("  %s − %s + %s: %s", a, b, c, String.join(", ", near));
    lesson.list(a + " - " + b + " + " + c, near);
  }

  /// The words whose vectors have the largest cosine with `point [D]`.
  private static List<String> nearest(
      Vocabulary text, Tensor unit, Tensor point, List<Integer> without) {
    int[] top = unit.matmul(point).topK(SHOWN + without.size()).indices().toIntArray();
    List<String> near = new ArrayList<>();
    for (int index : top) {
      if (!without.contains(index) && near.size() < SHOWN) {
        near.add(text.words().get(index));
      }
    }
    return near;
  }

  /// Some words on the two axes along which these differ most.
  private static Picture plot(Vocabulary text, Tensor unit) {
    List<String> drawn = known(text, DRAWN);
    int[] indices = drawn.stream().mapToInt(text::index).toArray();
    Tensor rows = unit.indexSelect(0, Tensor.of(indices)); // [n, D]
    Tensor centred = rows.sub(rows.mean(0, true));
    Tensor spread = centred.transpose().matmul(centred); // [D, D]
    Tensor first = mainAxis(spread);
    double strength = spread.matmul(first).mul(first).sum().item();
    Tensor outer = first.reshape(WIDTH, 1).matmul(first.reshape(1, WIDTH));
    Tensor second = mainAxis(spread.sub(outer.mul(strength)));
    return new Plot("Words by the company they keep", "first main axis", "second main axis")
        .labels(
            "words",
            centred.matmul(first).toDoubleArray(),
            centred.matmul(second).toDoubleArray(),
            drawn.toArray(String[]::new),
            Color.DARK_GRAY)
        .withoutLegend()
        .tall();
  }

  /// The direction `[D]` that a matrix `[D, D]` stretches most, by multiplying again and again.
  private static Tensor mainAxis(Tensor matrix) {
    Tensor axis = Tensor.ones(matrix.dim(0));
    for (int i = 0; i < 100; i++) {
      axis = matrix.matmul(axis);
      axis = axis.div(axis.square().sum().sqrt());
    }
    return axis;
  }
}
