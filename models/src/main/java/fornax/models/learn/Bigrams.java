package fornax.models.learn;

import fornax.tensor.Generator;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// How often each letter follows each other one in some words. Letter 0 is the dot, which stands
/// before and after each word.
final class Bigrams {
  private static final char EDGE = '.';
  private static final int LONGEST = 40;

  private final String letters;
  private final int[] first;
  private final int[] next;
  private final double[][] counts;

  /// @param alphabet the letters without the dot
  Bigrams(List<String> words, String alphabet) {
    letters = EDGE + alphabet;
    int pairs = words.stream().mapToInt(word -> word.length() + 1).sum();
    first = new int[pairs];
    next = new int[pairs];
    counts = new double[letters.length()][letters.length()];
    int at = 0;
    for (String word : words) {
      int before = 0;
      for (char letter : (word + EDGE).toCharArray()) {
        first[at] = before;
        next[at] = letters.indexOf(letter);
        counts[first[at]][next[at]]++;
        before = next[at++];
      }
    }
  }

  String letters() {
    return letters;
  }

  /// The first letter of each pair.
  int[] first() {
    return first.clone();
  }

  /// The second letter of each pair.
  int[] next() {
    return next.clone();
  }

  double[][] counts() {
    return Arrays.stream(counts).map(double[]::clone).toArray(double[][]::new);
  }

  /// The probability of each letter after each, with `smoothing` added to every count.
  double[][] probabilities(double smoothing) {
    double[][] p = counts();
    for (double[] row : p) {
      double sum = Arrays.stream(row).sum() + smoothing * row.length;
      for (int i = 0; i < row.length; i++) {
        row[i] = sum == 0 ? 1.0 / row.length : (row[i] + smoothing) / sum;
      }
    }
    return p;
  }

  /// The mean of −log p over the pairs here, in nats.
  double loss(double[][] probabilities) {
    double sum = 0;
    for (int i = 0; i < first.length; i++) {
      sum -= Math.log(probabilities[first[i]][next[i]]);
    }
    return sum / first.length;
  }

  /// Draws `count` words, all at once.
  ///
  /// @param probabilities of each letter after each, `[V, V]`
  List<String> sample(Tensor probabilities, int count, Generator generator) {
    List<StringBuilder> words = new ArrayList<>();
    int[] last = new int[count];
    boolean[] ended = new boolean[count];
    for (int i = 0; i < count; i++) {
      words.add(new StringBuilder());
    }
    for (int step = 0; step < LONGEST; step++) {
      try (var _ = GradMode.noGrad();
          var _ = Scope.open()) {
        generator.setStep(step);
        last = probabilities.embedding(Tensor.of(last)).multinomial(generator).toIntArray();
      }
      for (int i = 0; i < count; i++) {
        ended[i] |= last[i] == 0;
        if (!ended[i]) {
          words.get(i).append(letters.charAt(last[i]));
        }
      }
    }
    return words.stream().map(StringBuilder::toString).toList();
  }
}
