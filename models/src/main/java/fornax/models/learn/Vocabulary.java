package fornax.models.learn;

import fornax.data.Texts;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The words of "The Old Curiosity Shop" that its first nine tenths have often enough, the most
/// frequent first. All other words are left out of the text.
///
/// @param training the first nine tenths
/// @param heldOut the last tenth
/// @param counts of each word in the training part
@SuppressWarnings("ArrayRecordComponent") // never compared
record Vocabulary(List<String> words, int[] training, int[] heldOut, int[] counts) {
  private static final Pattern WORD = Pattern.compile("[a-z]+(?:'[a-z]+)?");

  /// @param least how often a word must occur
  static Vocabulary ofDickens(int least) throws IOException {
    List<String> text = new ArrayList<>();
    Matcher matcher = WORD.matcher(Texts.dickens().toLowerCase(Locale.ROOT));
    while (matcher.find()) {
      text.add(matcher.group());
    }
    int split = text.size() * 9 / 10;
    Map<String, Integer> counts = new TreeMap<>();
    text.subList(0, split).forEach(word -> counts.merge(word, 1, Integer::sum));
    List<String> words =
        counts.entrySet().stream()
            .filter(entry -> entry.getValue() >= least)
            .sorted(Map.Entry.<String, Integer>comparingByValue().reversed())
            .map(Map.Entry::getKey)
            .toList();
    Map<String, Integer> index = new HashMap<>();
    words.forEach(word -> index.put(word, index.size()));
    return new Vocabulary(
        words,
        numbers(text.subList(0, split), index),
        numbers(text.subList(split, text.size()), index),
        words.stream().mapToInt(word -> counts.getOrDefault(word, 0)).toArray());
  }

  private static int[] numbers(List<String> text, Map<String, Integer> index) {
    return text.stream()
        .mapToInt(word -> index.getOrDefault(word, -1))
        .filter(i -> i >= 0)
        .toArray();
  }

  int size() {
    return words.size();
  }

  /// The number of `word`.
  ///
  /// @throws IllegalArgumentException if it is not there
  int index(String word) {
    int at = words.indexOf(word);
    if (at < 0) {
      throw new IllegalArgumentException("vocabulary: no word \"" + word + "\"");
    }
    return at;
  }

  /// `−Σ p·log p` of the training part, in nats.
  double entropy() {
    double entropy = 0;
    for (int count : counts) {
      double p = (double) count / training.length;
      entropy -= p * Math.log(p);
    }
    return entropy;
  }

  /// The mean of −log p over the held-out words, p from the counts.
  double heldOutUnigramLoss() {
    double sum = 0;
    for (int word : heldOut) {
      sum -= Math.log((double) counts[word] / training.length);
    }
    return sum / heldOut.length;
  }

  /// Draws words by their count to the power of `exponent`.
  final class Noise {
    private final double[] upTo;

    Noise(double exponent) {
      upTo = new double[size()];
      double sum = 0;
      for (int i = 0; i < upTo.length; i++) {
        sum += Math.pow(counts[i], exponent);
        upTo[i] = sum;
      }
    }

    int draw(Random random) {
      int at = Arrays.binarySearch(upTo, random.nextDouble() * upTo[upTo.length - 1]);
      return Math.min(upTo.length - 1, at < 0 ? -at - 1 : at + 1);
    }
  }
}
