package fornax.data;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;

/// How BERT makes words of a text: control characters are dropped, each Chinese character and each
/// mark of punctuation is a word of its own, and where asked for, letters are lower case without
/// their accents.
///
/// @param cleanText whether control characters are dropped and all kinds of space become one
/// @param chinese whether Chinese characters are words of their own
/// @param stripAccents whether accents are dropped
/// @param lowercase whether letters become lower case
record BertNormalizer(boolean cleanText, boolean chinese, boolean stripAccents, boolean lowercase) {
  private static final int REPLACEMENT = 0xfffd;

  /// `text` as the words are cut from it.
  String normalize(String text) {
    String normal = text;
    if (cleanText || chinese) {
      normal = clean(normal);
    }
    if (stripAccents) {
      normal = withoutAccents(normal);
    }
    if (lowercase) {
      var lower = new StringBuilder(normal.length());
      normal.codePoints().forEach(c -> lowerCase(c, lower));
      normal = lower.toString();
    }
    return normal;
  }

  private String clean(String text) {
    var cleaned = new StringBuilder(text.length() + 16);
    text.codePoints()
        .forEach(
            c -> {
              if (cleanText && (c == 0 || c == REPLACEMENT || isControl(c))) {
                return;
              }
              if (chinese && isChinese(c)) {
                cleaned.append(' ').appendCodePoint(c).append(' ');
              } else if (cleanText && isSpace(c)) {
                cleaned.append(' ');
              } else {
                cleaned.appendCodePoint(c);
              }
            });
    return cleaned.toString();
  }

  private static String withoutAccents(String text) {
    var plain = new StringBuilder(text.length());
    Normalizer.normalize(text, Normalizer.Form.NFD)
        .codePoints()
        .filter(c -> Character.getType(c) != Character.NON_SPACING_MARK)
        .forEach(plain::appendCodePoint);
    return plain.toString();
  }

  // One character at a time, so that a sigma at a word's end is like any other.
  private static void lowerCase(int c, StringBuilder to) {
    if (c == 'İ') {
      to.append("i̇"); // the only one that becomes two
    } else {
      to.appendCodePoint(Character.toLowerCase(c));
    }
  }

  /// The words of a normalised text.
  static List<String> words(String text) {
    List<String> words = new ArrayList<>();
    int start = -1; // of the word at hand
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      int next = i + Character.charCount(c);
      boolean space = isSpace(c);
      if (space || isPunctuation(c)) {
        if (start >= 0) {
          words.add(text.substring(start, i));
          start = -1;
        }
        if (!space) {
          words.add(text.substring(i, next));
        }
      } else if (start < 0) {
        start = i;
      }
      i = next;
    }
    if (start >= 0) {
      words.add(text.substring(start));
    }
    return words;
  }

  // Unicode's White_Space.
  private static boolean isSpace(int c) {
    return c >= '\t' && c <= '\r' || c == 0x85 || Character.isSpaceChar(c);
  }

  private static boolean isControl(int c) {
    if (c == '\t' || c == '\n' || c == '\r') {
      return false;
    }
    return switch (Character.getType(c)) {
      case Character.CONTROL, Character.FORMAT, Character.PRIVATE_USE, Character.SURROGATE -> true;
      default -> false;
    };
  }

  private static boolean isChinese(int c) {
    return c >= 0x4e00 && c <= 0x9fff
        || c >= 0x3400 && c <= 0x4dbf
        || c >= 0x20000 && c <= 0x2a6df
        || c >= 0x2a700 && c <= 0x2b73f
        || c >= 0x2b740 && c <= 0x2b81f
        || c >= 0x2b920 && c <= 0x2ceaf
        || c >= 0xf900 && c <= 0xfaff
        || c >= 0x2f800 && c <= 0x2fa1f;
  }

  private static boolean isPunctuation(int c) {
    if (c < 128) {
      return c > ' ' && c < 127 && !Character.isLetterOrDigit(c);
    }
    return switch (Character.getType(c)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          true;
      default -> false;
    };
  }
}
