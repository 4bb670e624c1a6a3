package fornax.data;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/// One token for each character (code point) of a text; tokens are in the order of the code points.
public final class CharTokenizer implements Tokenizer {
  static final String NAME = "char";

  private static final int SHOWN = 100; // characters of the vocabulary that a message lists

  private final int[] codePoints; // ascending; the index is the token

  private final int unknown; // the token of characters that there is none of; −1: an error

  private CharTokenizer(int[] codePoints, int unknown) {
    this.codePoints = codePoints;
    this.unknown = unknown;
  }

  /// The tokenizer of all the characters in `text`.
  ///
  /// @throws IllegalArgumentException if `text` is empty
  public static CharTokenizer of(String text) {
    if (text.isEmpty()) {
      throw new IllegalArgumentException("char tokenizer: got an empty text; need a character");
    }
    return new CharTokenizer(text.codePoints().distinct().sorted().toArray(), -1);
  }

  static CharTokenizer restore(Map<String, String> description) throws DataException {
    String characters = description.get("characters");
    if (characters == null || characters.isEmpty()) {
      throw new DataException("tokenizer: no characters; need the vocabulary as a string");
    }
    var tokenizer = of(characters);
    if (!tokenizer.characters().equals(characters)) {
      throw new DataException(
          "tokenizer: the characters \""
              + Texts.excerpt(characters)
              + "\" are not in order or not distinct; need ascending code points");
    }
    return tokenizer;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int vocabularySize() {
    return codePoints.length;
  }

  /// The characters of `text` that the vocabulary lacks, each once.
  public String lacking(String text) {
    int[] all =
        text.codePoints()
            .distinct()
            .filter(codePoint -> Arrays.binarySearch(codePoints, codePoint) < 0)
            .toArray();
    return new String(all, 0, all.length);
  }

  /// This, with a space in the place of each character that the vocabulary lacks.
  ///
  /// @throws UnknownCharacterException if it lacks the space
  public CharTokenizer withSpaceForUnknown() {
    return new CharTokenizer(codePoints, encode(" ")[0]);
  }

  @Override
  public int[] encode(String text) {
    var tokens = new int[text.codePointCount(0, text.length())];
    int position = 0;
    for (int i = 0; i < tokens.length; i++) {
      int codePoint = text.codePointAt(position);
      tokens[i] = Arrays.binarySearch(codePoints, codePoint);
      if (tokens[i] < 0 && unknown >= 0) {
        tokens[i] = unknown;
      } else if (tokens[i] < 0) {
        throw new UnknownCharacterException(codePoint, i, shown());
      }
      position += Character.charCount(codePoint);
    }
    return tokens;
  }

  @Override
  public StreamingDecoder streamingDecoder() {
    return new StreamingDecoder() {
      @Override
      public String next(int token) {
        if (token < 0 || token >= codePoints.length) {
          throw new IllegalArgumentException(
              "char tokenizer: got token " + token + "; need 0 to " + (codePoints.length - 1));
        }
        return Character.toString(codePoints[token]);
      }

      @Override
      public String end() {
        return "";
      }
    };
  }

  @Override
  public SequencedMap<String, String> description() {
    SequencedMap<String, String> description = new LinkedHashMap<>();
    description.put("type", NAME);
    description.put("characters", characters());
    return description;
  }

  /// The vocabulary as a string, the character of token 0 first.
  public String characters() {
    return new String(codePoints, 0, codePoints.length);
  }

  @Override
  public String toString() {
    return NAME + " (" + codePoints.length + " characters)";
  }

  /// A character for a message: itself where it can be seen, and its code point.
  static String describe(int codePoint) {
    String code = "U+%04X".formatted(codePoint);
    boolean visible =
        !Character.isISOControl(codePoint)
            && !Character.isWhitespace(codePoint)
            && Character.isDefined(codePoint)
            && Character.getType(codePoint) != Character.SURROGATE;
    return visible ? "'" + Character.toString(codePoint) + "' (" + code + ")" : code;
  }

  private String shown() {
    var out = new StringBuilder();
    int shown = 0;
    for (int codePoint : codePoints) {
      if (describe(codePoint).startsWith("'")) {
        if (shown++ == SHOWN) {
          out.append("...");
          break;
        }
        out.appendCodePoint(codePoint);
      }
    }
    return out.toString();
  }
}
