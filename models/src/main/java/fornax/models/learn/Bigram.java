package fornax.models.learn;

import fornax.backend.Backends;
import fornax.data.Names;
import fornax.nn.Embedding;
import fornax.nn.Initializer;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/// Which letter follows which: by counting, and by a network of one layer that learns the counts.
final class Bigram implements Rung {
  private static final String BASES = "ACGT";
  private static final int SEQUENCES = 400;
  private static final int LENGTH = 60;

  // The chain that makes the DNA: each row the probabilities of A, C, G and T after a base. CG is
  // rare in it, as it is in ours.
  private static final double[][] CHAIN = {
    {0.33, 0.17, 0.24, 0.26},
    {0.35, 0.26, 0.05, 0.34},
    {0.29, 0.21, 0.26, 0.24},
    {0.22, 0.20, 0.25, 0.33}
  };

  static final String ALPHABET = "abcdefghijklmnopqrstuvwxyz";
  private static final int SAMPLES = 20;

  @Override
  public String name() {
    return "bigram";
  }

  @Override
  public String title() {
    return "which letter follows which, in DNA and first names: by counting and by a network";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    Picture dna = study(lesson, "dna", dna(lesson.random(1)), BASES, 60, "Pairs of bases");
    Picture names =
        study(lesson, "names", Names.us(), ALPHABET, 34, "Pairs of letters in US first names");
    lesson.picture("dna", dna);
    lesson.picture("names", names);
  }

  private static List<String> dna(Random random) {
    List<String> sequences = new ArrayList<>();
    for (int i = 0; i < SEQUENCES; i++) {
      var sequence = new StringBuilder();
      int base = random.nextInt(BASES.length());
      for (int j = 0; j < LENGTH; j++) {
        sequence.append(BASES.charAt(base));
        double u = random.nextDouble();
        int next = 0;
        while (next < BASES.length() - 1 && u >= CHAIN[base][next]) {
          u -= CHAIN[base][next++];
        }
        base = next;
      }
      sequences.add(sequence.toString());
    }
    return sequences;
  }

  private static Picture study(
      Lesson lesson, String what, List<String> words, String alphabet, int cell, String title) {
    var pairs = new Bigrams(words, alphabet);
    double counting = pairs.loss(pairs.probabilities(0));
    double smoothed = pairs.loss(pairs.probabilities(1));
    long seed = lesson.setup().seed();
    int letters = pairs.letters().length();
    List<String> samples;
    double network;
    try (var logits = new Embedding(Weights.seeded(seed), letters, letters, Initializer.zeros());
        var optimizer =
            new AdamW(ParameterGroup.of(logits.parameters(), 0), Schedule.constant(0.2));
        var generator = new Generator(Backends.current(), seed);
        var _ = Scope.open()) {
      Tensor first = Tensor.of(pairs.first());
      Tensor next = Tensor.of(pairs.next());
      var _ =
          lesson.train(
              lesson.choose(150, 100),
              optimizer,
              _ -> logits.forward(first).crossEntropy(next)); // [N, V] to []
      try (var _ = GradMode.noGrad()) {
        network = logits.forward(first).crossEntropy(next).item();
        samples = pairs.sample(logits.weight().softmax(-1), SAMPLES, generator);
      }
    }
    lesson.say(
        "%s: %,d pairs; nats per letter: %.4f by counting, %.4f with 1 added to each count,"
            + " %.4f by the network",
        what, pairs.first().length, counting, smoothed, network);
    lesson.say(
        "  drawn: %s", String.join(" ", what.equals("dna") ? samples.subList(0, 2) : samples));
    lesson.figure(what + "CountingLoss", counting);
    lesson.figure(what + "SmoothedLoss", smoothed);
    lesson.figure(what + "NetworkLoss", network);
    lesson.list(what + "Samples", samples);
    String[] titles = pairs.letters().split("");
    return new HeatMap(
        title + ": how often",
        "letter",
        "letter after it ( . : edge)",
        titles,
        titles,
        pairs.counts(),
        cell,
        count -> String.format(Locale.ROOT, "%.0f", count));
  }
}
