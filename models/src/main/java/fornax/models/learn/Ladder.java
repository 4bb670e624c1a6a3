package fornax.models.learn;

import java.util.List;
import java.util.Optional;

/// The rungs in the order in which to climb them.
public final class Ladder {
  private static final List<Rung> RUNGS =
      List.of(
          new Derivative(),
          new Backprop(),
          new Micrograd(),
          new LinearRegression(),
          new LogisticRegression(),
          new SoftmaxRegression(),
          new Xor(),
          new DigitMlp(),
          new Convnet(),
          new Bigram(),
          new NameNetworks(),
          new Cricket(),
          new Word2vec(),
          new AttentionWeights(),
          new TransformerSteps(),
          new Gpt3());

  private Ladder() {}

  /// All of them.
  public static List<Rung> rungs() {
    return RUNGS;
  }

  /// The rung of that name.
  public static Optional<Rung> find(String name) {
    return RUNGS.stream().filter(rung -> rung.name().equals(name)).findFirst();
  }
}
