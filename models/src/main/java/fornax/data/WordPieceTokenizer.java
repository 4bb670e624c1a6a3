package fornax.data;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// BERT's tokenizer: words are cut into the longest pieces that its vocabulary has, from the left;
/// a piece that does not begin a word is spelt with `##` before it. A text's tokens begin with
/// `[CLS]` and end with `[SEP]`. The text cannot be had back from them.
///
/// ```java
/// int[] tokens = WordPieceTokenizer.read(Path.of("tokenizer.json")).encode("I chose that bank");
/// ```
///
/// Source: arXiv:1810.04805 §3; WordPiece: arXiv:1609.08144 §4.1.
public final class WordPieceTokenizer {
  private static final String CLS = "[CLS]";
  private static final String SEP = "[SEP]";

  private static final int MOST_TOKENS = 1 << 24; // far above any vocabulary

  private final Map<String, Integer> vocabulary;
  private final int size;
  private final BertNormalizer normalizer;
  private final Pieces pieces;
  private final Map<String, Integer> added;
  private final Pattern addedPattern;
  private final int begin;
  private final int end;
  private final int maxTokens;

  /// How words become pieces.
  ///
  /// @param unknown the token of a word that cannot be spelt
  /// @param prefix what stands before a piece that does not begin a word
  /// @param maxCharacters of a word; a longer one is unknown
  private record Pieces(int unknown, String prefix, int maxCharacters) {}

  private WordPieceTokenizer(JsonNode json) throws DataException {
    JsonNode model = json.path("model");
    normalizer = normalizer(json);
    vocabulary = vocabulary(model.path("vocab"));
    pieces =
        new Pieces(
            id(model.path("unk_token").asText("[UNK]")),
            model.path("continuing_subword_prefix").asText("##"),
            model.path("max_input_chars_per_word").asInt(100));
    added = new HashMap<>();
    int largest = vocabulary.values().stream().mapToInt(Integer::intValue).max().orElseThrow();
    for (JsonNode token : json.path("added_tokens")) {
      String content = token.path("content").asText();
      if (!isNumber(token.path("id")) || content.isEmpty()) {
        throw new DataException(
            "added_tokens: got " + Texts.excerpt(token.toString()) + "; need an id and a content");
      }
      int number = token.path("id").intValue();
      added.put(content, number);
      largest = Math.max(largest, number);
    }
    size = largest + 1;
    List<String> spellings = new ArrayList<>(added.keySet());
    spellings.sort((a, b) -> Integer.compare(b.length(), a.length()));
    addedPattern =
        Pattern.compile(
            spellings.isEmpty()
                ? "(?!)" // matches nothing
                : String.join("|", spellings.stream().map(Pattern::quote).toList()));
    begin = id(CLS);
    end = id(SEP);
    int most = json.path("truncation").path("max_length").asInt(Integer.MAX_VALUE);
    if (most < 3) {
      throw new DataException("truncation: got max_length " + most + "; need at least 3");
    }
    maxTokens = most;
  }

  /// The tokenizer of the `tokenizer.json` at `file`.
  ///
  /// @throws DataException if it is corrupt, or of another kind
  /// @throws IOException if it cannot be read
  public static WordPieceTokenizer read(Path file) throws IOException {
    JsonNode json = HuggingFaceTokenizers.parse(file);
    try {
      return new WordPieceTokenizer(json);
    } catch (DataException e) {
      throw new DataException(file + ": " + e.getMessage(), e);
    }
  }

  private static boolean isNumber(JsonNode token) {
    return token.isInt() && token.intValue() >= 0 && token.intValue() < MOST_TOKENS;
  }

  private static Map<String, Integer> vocabulary(JsonNode tokens) throws DataException {
    if (!tokens.isObject() || tokens.isEmpty()) {
      throw new DataException("vocabulary: got no tokens; need an object of tokens and numbers");
    }
    Map<String, Integer> vocabulary = HashMap.newHashMap(tokens.size());
    for (Map.Entry<String, JsonNode> token : tokens.properties()) {
      if (!isNumber(token.getValue())) {
        throw new DataException(
            "vocabulary: got "
                + Texts.excerpt(token.getValue().toString())
                + " for \""
                + Texts.excerpt(token.getKey())
                + "\"; need a number");
      }
      vocabulary.put(token.getKey(), token.getValue().intValue());
    }
    return vocabulary;
  }

  private static BertNormalizer normalizer(JsonNode json) throws DataException {
    need(json.path("model").path("type"), "model", "WordPiece");
    need(json.path("normalizer").path("type"), "normalizer", "BertNormalizer");
    need(json.path("pre_tokenizer").path("type"), "pre_tokenizer", "BertPreTokenizer");
    JsonNode normalizer = json.path("normalizer");
    boolean lowercase = normalizer.path("lowercase").asBoolean(true);
    return new BertNormalizer(
        normalizer.path("clean_text").asBoolean(true),
        normalizer.path("handle_chinese_chars").asBoolean(true),
        normalizer.path("strip_accents").asBoolean(lowercase), // null: as lowercase says
        lowercase);
  }

  private static void need(JsonNode type, String part, String needed) throws DataException {
    if (!type.asText().equals(needed)) {
      throw new DataException(
          part
              + ": got "
              + (type.isMissingNode() ? "no type" : "type " + Texts.excerpt(type.toString()))
              + "; need "
              + needed
              + ", as BERT has it");
    }
  }

  private int id(String token) throws DataException {
    Integer number = vocabulary.get(token);
    if (number == null) {
      throw new DataException("vocabulary: " + token + " is missing; need BERT's special tokens");
    }
    return number;
  }

  /// One more than the largest token.
  public int vocabularySize() {
    return size;
  }

  /// The tokens that a text may have as the file says, [Integer#MAX_VALUE] where it says nothing.
  public int maxTokens() {
    return maxTokens;
  }

  /// The tokens of `text`, cut where there are more than [#maxTokens()].
  public int[] encode(String text) {
    return encode(text, maxTokens);
  }

  /// The tokens of `text`, `[CLS]` and `[SEP]` included: at most `most` of them, so that the end of
  /// a longer text is left out.
  ///
  /// @throws IllegalArgumentException if `most` is below 2
  public int[] encode(String text, int most) {
    if (most < 2) {
      throw new IllegalArgumentException("encode: got at most " + most + " tokens; need 2 or more");
    }
    var tokens = new Tokens(most - 1);
    tokens.add(begin);
    Matcher matcher = addedPattern.matcher(text);
    int from = 0;
    while (!tokens.full() && matcher.find()) {
      encodePlain(text.substring(from, matcher.start()), tokens);
      Integer special = added.get(matcher.group());
      if (special != null) {
        tokens.add(special);
      }
      from = matcher.end();
    }
    encodePlain(text.substring(from), tokens);
    return tokens.endingWith(end);
  }

  private void encodePlain(String text, Tokens to) {
    if (to.full() || text.isEmpty()) {
      return;
    }
    for (String word : BertNormalizer.words(normalizer.normalize(text))) {
      if (to.full()) {
        return;
      }
      encodeWord(word, to);
    }
  }

  private void encodeWord(String word, Tokens to) {
    int length = word.length();
    if (word.codePointCount(0, length) > pieces.maxCharacters()) {
      to.add(pieces.unknown());
      return;
    }
    List<Integer> found = new ArrayList<>();
    int start = 0;
    while (start < length) {
      int stop = length;
      Integer piece = null;
      while (stop > start) {
        String part = word.substring(start, stop);
        piece = vocabulary.get(start == 0 ? part : pieces.prefix() + part);
        if (piece != null) {
          break;
        }
        stop = word.offsetByCodePoints(stop, -1);
      }
      if (piece == null) {
        to.add(pieces.unknown());
        return;
      }
      found.add(piece);
      start = stop;
    }
    found.forEach(to::add);
  }

  /// A list that takes no more than `limit`.
  private static final class Tokens {
    private final int limit;
    private int[] values = new int[32];
    private int count;

    Tokens(int limit) {
      this.limit = limit;
    }

    boolean full() {
      return count == limit;
    }

    void add(int token) {
      if (count < limit) {
        if (count == values.length) {
          values = Arrays.copyOf(values, 2 * count);
        }
        values[count++] = token;
      }
    }

    int[] endingWith(int last) {
      int[] all = Arrays.copyOf(values, count + 1);
      all[count] = last;
      return all;
    }
  }
}
