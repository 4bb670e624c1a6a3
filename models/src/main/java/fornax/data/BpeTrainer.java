package fornax.data;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.SequencedSet;
import java.util.function.IntConsumer;
import java.util.regex.Matcher;
import org.jspecify.annotations.Nullable;

/// Learns a byte-level BPE from a text: the words of GPT-2's pattern are counted, and then the pair
/// of tokens that stands side by side most often becomes a token, again and again. Source: Sennrich
/// et al., arXiv:1508.07909, algorithm 1.
///
/// Of pairs that are as frequent, the one of the lower tokens is taken, first the left one and then
/// the right one: the result depends on the text alone. Words are counted first, so that memory is
/// for the distinct ones; a merge visits only the words that have the pair.
public final class BpeTrainer {
  /// The token behind all others, which ends a text.
  public static final String END_OF_TEXT = "<|endoftext|>";

  /// The smallest vocabulary: 256 bytes and [#END_OF_TEXT].
  public static final int SMALLEST = 257;

  private static final int BYTES = 256;
  private static final int LEAST = 2; // occurrences of a pair; one teaches nothing

  private final Map<String, long[]> words = new HashMap<>(); // the count is element 0

  /// Has counted nothing yet.
  public BpeTrainer() {}

  /// Counts the words of a piece of text, which no word leaves.
  public void count(String piece) {
    Matcher matcher = BpeTokenizer.WORDS.matcher(piece);
    while (matcher.find()) {
      words.computeIfAbsent(matcher.group(), _ -> new long[1])[0]++;
    }
  }

  /// The number of distinct words counted.
  public int distinctWords() {
    return words.size();
  }

  /// The tokenizer of at most `vocabulary` tokens: fewer where no pair is left that occurs twice.
  ///
  /// @param progress told after each merge how many tokens there are
  /// @throws IllegalArgumentException if `vocabulary` is below [#SMALLEST]
  public BpeTokenizer train(int vocabulary, IntConsumer progress) throws DataException {
    if (vocabulary < SMALLEST) {
      throw new IllegalArgumentException(
          "bpe: vocabulary too small; got "
              + vocabulary
              + "; need at least "
              + SMALLEST
              + ", the bytes and "
              + END_OF_TEXT);
    }
    char[] alphabet = ByteLetters.all();
    char[] sorted = alphabet.clone();
    Arrays.sort(sorted); // as Hugging Face numbers them
    List<String> spellings = new ArrayList<>();
    int[] byteTokens = new int[BYTES];
    for (char letter : sorted) {
      spellings.add(String.valueOf(letter));
    }
    for (int i = 0; i < BYTES; i++) {
      byteTokens[i] = Arrays.binarySearch(sorted, alphabet[i]);
    }
    Map<String, Integer> numbers = new HashMap<>();
    for (int i = 0; i < BYTES; i++) {
      numbers.put(spellings.get(i), i);
    }
    SequencedSet<BpeTokenizer.Merge> merges = new LinkedHashSet<>();
    var pairs = new Pairs(words, byteTokens);
    while (spellings.size() < vocabulary - 1) {
      Pair best = pairs.mostFrequent();
      if (best == null) {
        break;
      }
      String left = spellings.get(best.left);
      String right = spellings.get(best.right);
      var _ = merges.add(new BpeTokenizer.Merge(left, right));
      int next = spellings.size();
      int token = numbers.computeIfAbsent(left + right, _ -> next); // "a"+"bc" and "ab"+"c" are one
      if (token == next) {
        spellings.add(left + right);
      }
      pairs.merge(best, token);
      progress.accept(spellings.size() + 1);
    }
    spellings.add(END_OF_TEXT);
    return BpeTokenizer.of(spellings, List.copyOf(merges), List.of(END_OF_TEXT));
  }

  /// Two tokens side by side.
  private static final class Pair {
    final int left;
    final int right;
    long count;
    int[] words = new int[2]; // that have had it; one may stand twice
    int size;
    boolean grown; // in the merge at hand

    Pair(int left, int right) {
      this.left = left;
      this.right = right;
    }

    void addWord(int word) {
      if (size > 0 && words[size - 1] == word) {
        return;
      }
      if (size == words.length) {
        words = Arrays.copyOf(words, 2 * size);
      }
      words[size++] = word;
    }
  }

  /// A pair in the queue with the count that it had then. What has grown since stands there again,
  /// so the greatest entry of a pair is at least its count.
  private record Queued(Pair pair, long count) implements Comparable<Queued> {
    @Override
    public int compareTo(Queued other) {
      if (count != other.count) {
        return Long.compare(other.count, count);
      }
      return pair.left != other.pair.left
          ? Integer.compare(pair.left, other.pair.left)
          : Integer.compare(pair.right, other.pair.right);
    }
  }

  /// The words as tokens, and how often each pair stands in them.
  private static final class Pairs {
    private final int[][] tokens; // by word
    private final long[] counts; // by word
    private final Map<Long, Pair> pairs = new HashMap<>();
    private final PriorityQueue<Queued> queue = new PriorityQueue<>();

    Pairs(Map<String, long[]> words, int[] byteTokens) {
      tokens = new int[words.size()][];
      counts = new long[words.size()];
      int word = 0;
      for (Map.Entry<String, long[]> entry : words.entrySet()) {
        byte[] utf8 = entry.getKey().getBytes(StandardCharsets.UTF_8);
        int[] list = new int[utf8.length];
        for (int i = 0; i < list.length; i++) {
          list[i] = byteTokens[utf8[i] & 0xff];
        }
        tokens[word] = list;
        counts[word] = entry.getValue()[0];
        for (int i = 0; i + 1 < list.length; i++) {
          add(list[i], list[i + 1], word, counts[word]);
        }
        word++;
      }
      pairs.values().forEach(this::enqueue);
    }

    private void add(int left, int right, int word, long count) {
      Pair pair = pairs.computeIfAbsent((long) left << 32 | right, _ -> new Pair(left, right));
      pair.count += count;
      if (count > 0) {
        pair.addWord(word);
      }
    }

    private void enqueue(Pair pair) {
      if (pair.count >= LEAST) {
        queue.add(new Queued(pair, pair.count));
      }
    }

    /// Takes the pair out of the queue; null: none is left.
    @Nullable Pair mostFrequent() {
      while (!queue.isEmpty()) {
        Queued first = queue.remove();
        if (first.count() == first.pair().count) {
          return first.pair();
        }
        enqueue(first.pair()); // it has become rarer since
      }
      return null;
    }

    /// Makes `token` of the pair wherever it stands, from left to right.
    void merge(Pair pair, int token) {
      List<Pair> grown = new ArrayList<>();
      for (int i = 0; i < pair.size; i++) {
        merge(pair, token, pair.words[i], grown);
      }
      pair.count = 0;
      var _ = pairs.remove((long) pair.left << 32 | pair.right);
      for (Pair changed : grown) {
        changed.grown = false;
        enqueue(changed);
      }
    }

    private void merge(Pair pair, int token, int word, List<Pair> grown) {
      int[] before = tokens[word];
      long count = counts[word];
      int to = 0;
      int length = before.length;
      for (int from = 0; from < length; to++) {
        if (from + 1 < length && before[from] == pair.left && before[from + 1] == pair.right) {
          if (to > 0) {
            change(before[to - 1], pair.left, word, -count, grown);
            change(before[to - 1], token, word, count, grown);
          }
          if (from + 2 < length) {
            change(pair.right, before[from + 2], word, -count, grown);
            change(token, before[from + 2], word, count, grown);
          }
          before[to] = token;
          from += 2;
        } else {
          before[to] = before[from];
          from++;
        }
      }
      if (to < length) {
        tokens[word] = Arrays.copyOf(before, to);
      }
    }

    private void change(int left, int right, int word, long count, List<Pair> grown) {
      long key = (long) left << 32 | right;
      Pair pair = pairs.get(key);
      if (pair == null) {
        pair = new Pair(left, right);
        pairs.put(key, pair);
      }
      if (count > 0) {
        if (!pair.grown) {
          pair.grown = true;
          grown.add(pair);
        }
        pair.addWord(word);
      }
      pair.count += count;
    }
  }
}
