package fornax.models.learn;

import fornax.data.Names;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Networks that make up first names: a small one whose vectors can be drawn, and a wider one.
final class NameNetworks implements Rung {
  private static final String LETTERS = '.' + Bigram.ALPHABET;
  private static final String VOWELS = "aeiou";
  private static final int BATCH = 256;
  private static final int SAMPLES = 10;

  @Override
  public String name() {
    return "names";
  }

  @Override
  public String title() {
    return "networks that make up first names: embeddings, then wider with batch normalisation";
  }

  /// Each letter with the `context` letters before it.
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Windows(int[] before, int[] next, int context) {
    static Windows of(List<String> names, int context) {
      int count = names.stream().mapToInt(name -> name.length() + 1).sum();
      int[] before = new int[count * context];
      int[] next = new int[count];
      int at = 0;
      for (String name : names) {
        int[] window = new int[context];
        for (char letter : (name + ".").toCharArray()) {
          System.arraycopy(window, 0, before, at * context, context);
          next[at] = LETTERS.indexOf(letter);
          System.arraycopy(window, 1, window, 0, context - 1);
          window[context - 1] = next[at++];
        }
      }
      return new Windows(before, next, context);
    }

    /// Some of them, drawn by `random`.
    Windows draw(int count, Random random) {
      int[] some = new int[count * context];
      int[] after = new int[count];
      for (int i = 0; i < count; i++) {
        int at = random.nextInt(next.length);
        System.arraycopy(before, at * context, some, i * context, context);
        after[i] = next[at];
      }
      return new Windows(some, after, context);
    }

    Tensor loss(NameModel model, long step) {
      return model.loss(Tensor.of(before, next.length, context), Tensor.of(next), step);
    }
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    Names.Split us = Names.split(Names.us(), lesson.setup().seed());
    Names.Split indian = Names.split(Names.indian(), lesson.setup().seed());
    double usBigram = bigram(us);
    double indianBigram = bigram(indian);
    lesson.say(
        "nats per letter of held-out names; bigram: US %.4f, Indian %.4f", usBigram, indianBigram);
    lesson.figure("usBigramLoss", usBigram);
    lesson.figure("indianBigramLoss", indianBigram);
    var small = NameModel.Sizes.SMALL;
    Picture picture = study(lesson, "us", small, us, lesson.choose(5000, 1200), 1e-2);
    Picture _ = study(lesson, "indian", small, indian, lesson.choose(500, 200), 1e-2);
    Picture _ = study(lesson, "wide", NameModel.Sizes.WIDE, us, lesson.choose(3000, 200), 5e-3);
    lesson.picture("names", picture);
  }

  /// The loss of counting pairs, with 1 added to each count.
  private static double bigram(Names.Split names) {
    double[][] counted = new Bigrams(names.training(), Bigram.ALPHABET).probabilities(1);
    return new Bigrams(names.validation(), Bigram.ALPHABET).loss(counted);
  }

  /// Trains a model; draws its vectors where they have two numbers.
  private static Picture study(
      Lesson lesson, String key, NameModel.Sizes sizes, Names.Split names, int steps, double rate) {
    Windows training = Windows.of(names.training(), sizes.context());
    Windows validation = Windows.of(names.validation(), sizes.context());
    Random random = lesson.random(1);
    long seed = lesson.setup().seed();
    try (var model = new NameModel(sizes, LETTERS.length(), Weights.seeded(seed));
        var optimizer =
            new AdamW(
                ParameterGroup.decayMatrices(model.parameters(), 0.01),
                Schedule.cosine(rate, 0, 0, steps))) {
      double[] before = model.table().toDoubleArray();
      var _ =
          lesson.train(steps, optimizer, step -> training.draw(BATCH, random).loss(model, step));
      double[] after = model.table().toDoubleArray();
      double loss = evaluate(model, validation);
      List<String> samples = model.sample(SAMPLES, LETTERS, seed);
      lesson.say(
          "%s: %,d parameters see %d letters, %.4f; makes up %s",
          key, model.parameterCount(), sizes.context(), loss, String.join(" ", samples));
      lesson.figure(key + "Loss", loss);
      lesson.list(key + "Samples", samples);
      if (sizes.vector() == 2) {
        lesson.figure(key + "VowelSpreadBefore", vowelSpread(before));
        lesson.figure(key + "VowelSpread", vowelSpread(after));
      }
      return Picture.beside(
          plot("The letters' vectors before training", before),
          plot("The letters' vectors after training", after));
    }
  }

  private static double evaluate(NameModel model, Windows held) {
    model.eval();
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      return held.loss(model, 0).item();
    } finally {
      model.train();
    }
  }

  /// How far vowels are from each other, as a share of how far letters are.
  private static double vowelSpread(double[] table) {
    return spread(table, VOWELS) / spread(table, Bigram.ALPHABET);
  }

  private static double spread(double[] table, String letters) {
    double sum = 0;
    int pairs = 0;
    for (int i = 0; i < letters.length(); i++) {
      for (int j = 0; j < i; j++) {
        int a = LETTERS.indexOf(letters.charAt(i));
        int b = LETTERS.indexOf(letters.charAt(j));
        sum += Math.hypot(table[2 * a] - table[2 * b], table[2 * a + 1] - table[2 * b + 1]);
        pairs++;
      }
    }
    return sum / pairs;
  }

  private static Picture plot(String title, double[] table) {
    Plot plot = new Plot(title, "first number", "second number").withoutLegend();
    for (boolean vowel : new boolean[] {false, true}) {
      String[] texts =
          Arrays.stream(LETTERS.split(""))
              .filter(letter -> VOWELS.contains(letter) == vowel)
              .toArray(String[]::new);
      double[] xs = new double[texts.length];
      double[] ys = new double[texts.length];
      for (int i = 0; i < texts.length; i++) {
        xs[i] = table[2 * LETTERS.indexOf(texts[i])];
        ys[i] = table[2 * LETTERS.indexOf(texts[i]) + 1];
      }
      plot = plot.labels(vowel ? "vowels" : "others", xs, ys, texts, vowel ? Plot.RED : Plot.BLUE);
    }
    return plot;
  }
}
