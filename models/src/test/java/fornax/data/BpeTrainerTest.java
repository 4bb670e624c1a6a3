package fornax.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Matcher;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BpeTrainerTest {
  @TempDir Path folder;

  @Test
  void train_mergesAsTheNaiveTrainer() throws IOException {
    String text = Texts.dickens().substring(0, 40_000);
    assertEquals(naive(text, 400), train(text, 256 + 400 + 1).merges());
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void train_mergesAsTheNaiveTrainer_whereTokensOverlap(long seed) throws IOException {
    var random = new Random(seed);
    var text = new StringBuilder();
    for (int i = 0; i < 600; i++) { // few letters, so that runs, ties and equal spellings abound
      text.append("aaabb ".charAt(random.nextInt(6)));
    }
    List<BpeTokenizer.Merge> merges = train(text.toString(), 2000).merges();
    assertEquals(naive(text.toString(), merges.size()), merges);
    assertTrue(merges.size() > 30);
  }

  @Test
  void train_readsWhatWasCountedInPiecesAlike() throws IOException {
    var stream = TextStream.of(List.of("dickens"), 10_000);
    var inPieces = new BpeTrainer();
    stream.forEach(inPieces::count);
    assertEquals(train(Texts.dickens(), 500).spellings(), inPieces.train(500, _ -> {}).spellings());
  }

  @Test
  void train_stopsWhereNoPairIsTwice() throws IOException {
    BpeTokenizer tokenizer = train("abab cd", 1000);
    // "ab" stands twice in one word; then nothing does
    assertEquals(List.of(new BpeTokenizer.Merge("a", "b")), tokenizer.merges());
    assertEquals(256 + 1 + 1, tokenizer.vocabularySize());
    assertThrows(IllegalArgumentException.class, () -> train("abab", 256));
  }

  @Test
  void trained_encodesEveryTextAndReadsBack() throws IOException {
    BpeTokenizer tokenizer = train(Texts.dickens().substring(0, 200_000), 1000);
    assertEquals(1000, tokenizer.vocabularySize());
    assertEquals(999, tokenizer.special().get(BpeTrainer.END_OF_TEXT));
    HuggingFaceTokenizers.write(tokenizer, folder);
    Tokenizer back = Objects.requireNonNull(HuggingFaceTokenizers.read(folder));
    for (String text :
        List.of(
            "The old man's 3 cats,\n\n  and\u00a0a dog.\t\n",
            "grün 日本語 \uD83D\uDE00\uD83C\uDFFD e\u0301 \u0000\u0001\u007f",
            everyCodePointOfThePlane())) {
      int[] tokens = tokenizer.encode(text);
      assertEquals(text, tokenizer.decode(tokens));
      assertArrayEquals(tokens, back.encode(text));
    }
    for (int b = 0; b < 256; b++) { // each byte is a token of its own
      byte[] one = {(byte) b};
      int token = tokenizer.spellings().indexOf(ByteLetters.spelling(one));
      assertTrue(token >= 0 && token < 256);
    }
    String english = Texts.dickens().substring(300_000, 400_000);
    double each = (double) english.length() / tokenizer.encode(english).length;
    assertTrue(each > 2.5, () -> each + " characters a token");
  }

  private static String everyCodePointOfThePlane() {
    var all = new StringBuilder();
    for (int c = 0; c < Character.MIN_SUPPLEMENTARY_CODE_POINT; c++) {
      if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
        all.appendCodePoint(c);
      }
    }
    return all.toString();
  }

  private static BpeTokenizer train(String text, int vocabulary) throws IOException {
    var trainer = new BpeTrainer();
    trainer.count(text);
    return trainer.train(vocabulary, _ -> {});
  }

  /// Counts every pair of every word anew for each merge, on spellings; tokens are numbered by the
  /// letters' order and then as they are made.
  private static List<BpeTokenizer.Merge> naive(String text, int merges) {
    List<List<String>> words = new ArrayList<>();
    Matcher matcher = BpeTokenizer.WORDS.matcher(text);
    while (matcher.find()) {
      String letters = ByteLetters.spelling(matcher.group().getBytes(StandardCharsets.UTF_8));
      words.add(new ArrayList<>(List.of(letters.split(""))));
    }
    List<String> tokens = new ArrayList<>();
    for (char letter : ByteLetters.all()) {
      tokens.add(String.valueOf(letter));
    }
    tokens.sort(Comparator.naturalOrder());
    Comparator<BpeTokenizer.Merge> lowest =
        Comparator.<BpeTokenizer.Merge>comparingInt(merge -> tokens.indexOf(merge.left()))
            .thenComparingInt(merge -> tokens.indexOf(merge.right()));
    List<BpeTokenizer.Merge> made = new ArrayList<>();
    while (made.size() < merges) {
      Map<String, Integer> counts = new TreeMap<>();
      Map<String, BpeTokenizer.Merge> pairs = new TreeMap<>();
      for (List<String> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          String key = word.get(i) + "\n" + word.get(i + 1);
          counts.merge(key, 1, Integer::sum);
          pairs.putIfAbsent(key, new BpeTokenizer.Merge(word.get(i), word.get(i + 1)));
        }
      }
      int most = counts.values().stream().max(Integer::compare).orElse(0);
      if (most < 2) {
        break;
      }
      BpeTokenizer.Merge best =
          counts.keySet().stream()
              .filter(key -> counts.getOrDefault(key, 0) == most)
              .map(pairs::get)
              .min(lowest)
              .orElseThrow();
      String both = best.left() + best.right();
      if (!tokens.contains(both)) {
        tokens.add(both);
      }
      if (!made.contains(best)) {
        made.add(best);
      }
      for (List<String> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          if (word.get(i).equals(best.left()) && word.get(i + 1).equals(best.right())) {
            word.set(i, both);
            word.remove(i + 1);
          }
        }
      }
    }
    return made;
  }
}
