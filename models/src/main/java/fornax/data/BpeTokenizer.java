package fornax.data;

import fornax.io.AtomicFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.SequencedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Byte-level byte pair encoding as GPT-2 has it, with a vocabulary of any size: a text is cut into
/// words, and the bytes of a word are merged pair by pair, the earliest merge of the list first.
/// Source: Radford et al., 2019, §2.2.
///
/// Tokens are spelled as Hugging Face's files spell them: one character for each byte
/// ([ByteLetters]). A text that spells a special token out is encoded as that text.
public final class BpeTokenizer implements Tokenizer {
  static final String NAME = "bpe";

  // Contractions, words, numbers and signs, each with one space before it, and other spaces.
  static final Pattern WORDS =
      Pattern.compile(
          "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
          Pattern.UNICODE_CHARACTER_CLASS);

  private static final int MOST_KEPT = 1 << 16; // words whose tokens are remembered
  private static final int SHORT_BYTES = 64; // longer words are not, and take a heap to merge

  private final List<String> spellings; // by token
  private final List<Merge> merges;
  private final SequencedMap<String, Integer> special;
  private final byte[][] bytes; // by token
  private final int[] byteTokens = new int[256]; // -1: the vocabulary lacks it
  private final Map<Long, Merged> merged = new HashMap<>(); // by the pair
  private final Map<String, int[]> kept = Collections.synchronizedMap(new HashMap<>());

  /// A pair of tokens, by their spelling, that become one.
  record Merge(String left, String right) {}

  private record Merged(int rank, int token) {}

  /// @param spellings of all tokens, special ones included, token 0 first
  /// @param merges the first to be applied first
  /// @param special those of the tokens that stand for no bytes
  /// @throws DataException if a spelling is no bytes', stands twice, or a merge is of unknown
  ///   tokens
  static BpeTokenizer of(List<String> spellings, List<Merge> merges, List<String> special)
      throws DataException {
    Map<String, Integer> numbers = new HashMap<>();
    for (int i = 0; i < spellings.size(); i++) {
      if (numbers.put(spellings.get(i), i) != null) {
        throw new DataException(
            "tokenizer: the token " + quoted(spellings.get(i)) + " stands twice; need it once");
      }
    }
    SequencedMap<String, Integer> specials = new LinkedHashMap<>();
    for (String token : special) {
      Integer number = numbers.get(token);
      if (number == null) {
        throw new DataException("tokenizer: no number for the special token " + quoted(token));
      }
      specials.put(token, number);
    }
    var tokenizer = new BpeTokenizer(List.copyOf(spellings), List.copyOf(merges), specials);
    tokenizer.index(numbers);
    return tokenizer;
  }

  private BpeTokenizer(
      List<String> spellings, List<Merge> merges, SequencedMap<String, Integer> special) {
    this.spellings = spellings;
    this.merges = merges;
    this.special = special;
    bytes = new byte[spellings.size()][];
  }

  private void index(Map<String, Integer> numbers) throws DataException {
    Arrays.fill(byteTokens, -1);
    for (int i = 0; i < bytes.length; i++) {
      String spelling = spellings.get(i);
      bytes[i] =
          special.containsKey(spelling)
              ? spelling.getBytes(StandardCharsets.UTF_8)
              : ByteLetters.bytes(spelling);
      if (bytes[i].length == 1 && !special.containsKey(spelling)) {
        byteTokens[bytes[i][0] & 0xff] = i;
      }
    }
    for (int rank = 0; rank < merges.size(); rank++) {
      Merge merge = merges.get(rank);
      Integer left = numbers.get(merge.left());
      Integer right = numbers.get(merge.right());
      Integer both = numbers.get(merge.left() + merge.right());
      if (left == null || right == null || both == null) {
        throw new DataException(
            "tokenizer: merge "
                + (rank + 1)
                + ", "
                + quoted(merge.left())
                + " and "
                + quoted(merge.right())
                + ", is of tokens that the vocabulary lacks; need both files of one tokenizer");
      }
      var _ = merged.putIfAbsent(pair(left, right), new Merged(rank, both));
    }
  }

  private static long pair(int left, int right) {
    return (long) left << 32 | right;
  }

  private static String quoted(String token) {
    return "\"" + Texts.excerpt(token) + "\"";
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int vocabularySize() {
    return bytes.length;
  }

  /// The spellings of all tokens, token 0 first.
  List<String> spellings() {
    return spellings;
  }

  List<Merge> merges() {
    return merges;
  }

  /// The tokens that stand for no bytes, such as `<|endoftext|>`.
  public SequencedMap<String, Integer> special() {
    return Collections.unmodifiableSequencedMap(special);
  }

  /// `<|endoftext|>`, or else the first special token.
  @Override
  public OptionalInt endOfText() {
    if (special.isEmpty()) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(
        special.getOrDefault(BpeTrainer.END_OF_TEXT, special.firstEntry().getValue()));
  }

  @Override
  public int[] encode(String text) {
    int[] tokens = new int[Math.max(16, text.length() / 2)];
    int count = 0;
    Matcher words = WORDS.matcher(text);
    while (words.find()) {
      int[] word = word(text, words.start(), words.end());
      if (count + word.length > tokens.length) {
        tokens = Arrays.copyOf(tokens, Math.max(2 * tokens.length, count + word.length));
      }
      System.arraycopy(word, 0, tokens, count, word.length);
      count += word.length;
    }
    return Arrays.copyOf(tokens, count);
  }

  private int[] word(String text, int start, int end) {
    String word = text.substring(start, end);
    int[] known = kept.get(word);
    if (known != null) {
      return known;
    }
    byte[] utf8 = word.getBytes(StandardCharsets.UTF_8);
    int[] tokens = new int[utf8.length];
    for (int i = 0; i < utf8.length; i++) {
      tokens[i] = byteTokens[utf8[i] & 0xff];
      if (tokens[i] < 0) {
        throw unknown(text, start, word);
      }
    }
    if (tokens.length > SHORT_BYTES) {
      return mergeLong(tokens);
    }
    tokens = merge(tokens);
    if (kept.size() < MOST_KEPT) {
      kept.put(word, tokens);
    }
    return tokens;
  }

  private UnknownCharacterException unknown(String text, int start, String word) {
    int at = 0;
    while (isKnown(word.codePointAt(at))) {
      at += Character.charCount(word.codePointAt(at));
    }
    return new UnknownCharacterException(
        word.codePointAt(at), text.codePointCount(0, start + at), "of " + this);
  }

  private boolean isKnown(int codePoint) {
    for (byte b : Character.toString(codePoint).getBytes(StandardCharsets.UTF_8)) {
      if (byteTokens[b & 0xff] < 0) {
        return false;
      }
    }
    return true;
  }

  /// Merges the pair of the lowest rank, wherever it stands, until none is left.
  private int[] merge(int[] tokens) {
    int length = tokens.length;
    while (length > 1) {
      int rank = Integer.MAX_VALUE;
      long best = 0;
      int token = 0;
      for (int i = 0; i + 1 < length; i++) {
        long pair = pair(tokens[i], tokens[i + 1]);
        Merged both = merged.get(pair);
        if (both != null && both.rank() < rank) {
          rank = both.rank();
          best = pair;
          token = both.token();
        }
      }
      if (rank == Integer.MAX_VALUE) {
        break;
      }
      int to = 0;
      for (int from = 0; from < length; to++) {
        boolean here = from + 1 < length && pair(tokens[from], tokens[from + 1]) == best;
        tokens[to] = here ? token : tokens[from];
        from += here ? 2 : 1;
      }
      length = to;
    }
    return Arrays.copyOf(tokens, length);
  }

  /// The same in time `n log n`: a word may be as long as its text, and each pass of [#merge] goes
  /// over all of it.
  private int[] mergeLong(int[] tokens) {
    int end = tokens.length;
    int[] after = new int[end]; // where the next token stands; end: none
    int[] before = new int[end];
    var pairs =
        new PriorityQueue<Long>(); // rank << 32 | place of the left one; some are of the past
    for (int i = 0; i < end; i++) {
      after[i] = i + 1;
      before[i] = i - 1;
      offer(pairs, tokens, i, i + 1);
    }
    for (Long first = pairs.poll(); first != null; first = pairs.poll()) {
      int left = first.intValue();
      int right = tokens[left] < 0 ? end : after[left];
      Merged both = right == end ? null : merged.get(pair(tokens[left], tokens[right]));
      if (both == null || both.rank() != (int) (first >>> 32)) {
        continue;
      }
      tokens[left] = both.token();
      tokens[right] = -1;
      after[left] = after[right];
      if (after[left] < end) {
        before[after[left]] = left;
      }
      offer(pairs, tokens, left, after[left]);
      if (before[left] >= 0) {
        offer(pairs, tokens, before[left], left);
      }
    }
    return Arrays.stream(tokens).filter(token -> token >= 0).toArray();
  }

  private void offer(Queue<Long> pairs, int[] tokens, int left, int right) {
    Merged both = right < tokens.length ? merged.get(pair(tokens[left], tokens[right])) : null;
    if (both != null) {
      boolean _ = pairs.add(pair(both.rank(), left));
    }
  }

  @Override
  public StreamingDecoder streamingDecoder() {
    return new Utf8Decoder(this::bytes);
  }

  private byte[] bytes(int token) {
    if (token < 0 || token >= bytes.length) {
      throw new IllegalArgumentException(
          "bpe tokenizer: got token " + token + "; need 0 to " + (bytes.length - 1));
    }
    return bytes[token];
  }

  /// Hugging Face's `tokenizer.json`, which is also what [#save] writes.
  @Override
  public SequencedMap<String, String> description() {
    SequencedMap<String, String> description = new LinkedHashMap<>();
    description.put("type", NAME);
    description.put("json", HuggingFaceTokenizers.json(this));
    return description;
  }

  @Override
  public void save(Path file) throws IOException {
    AtomicFile.replace(file, HuggingFaceTokenizers.json(this));
  }

  @Override
  public String toString() {
    return NAME + " (" + bytes.length + " tokens)";
  }

  /// The tokenizer whose tokens are `bytes`, each but single bytes made of two earlier ones, with
  /// the special tokens behind them: the merges follow from the order.
  static BpeTokenizer ofRanks(List<byte[]> bytes, List<String> special) throws DataException {
    List<String> spellings = new ArrayList<>();
    Map<String, Integer> numbers = new HashMap<>();
    for (byte[] token : bytes) {
      String spelling = ByteLetters.spelling(token);
      numbers.put(spelling, spellings.size());
      spellings.add(spelling);
    }
    List<Merge> merges = new ArrayList<>();
    for (int i = 0; i < spellings.size(); i++) {
      if (spellings.get(i).length() > 1) {
        merges.add(lastMerge(spellings.get(i), i, numbers));
      }
    }
    spellings.addAll(special);
    return of(spellings, merges, special);
  }

  // The two parts that the merges before `rank` leave of a token.
  private static Merge lastMerge(String token, int rank, Map<String, Integer> numbers)
      throws DataException {
    List<String> parts = new ArrayList<>(Arrays.asList(token.split("")));
    while (parts.size() > 2) {
      int best = rank;
      int at = -1;
      for (int i = 0; i + 1 < parts.size(); i++) {
        Integer both = numbers.get(parts.get(i) + parts.get(i + 1));
        if (both != null && both < best) {
          best = both;
          at = i;
        }
      }
      if (at < 0) {
        throw new DataException("tokenizer: no merge makes the token " + quoted(token));
      }
      parts.set(at, parts.get(at) + parts.remove(at + 1));
    }
    return new Merge(parts.getFirst(), parts.getLast());
  }
}
