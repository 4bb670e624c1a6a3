package fornax.data;

import java.util.Arrays;

/// One letter for each byte, as GPT-2's vocabulary files spell tokens: the printable bytes of
/// Latin-1 stand for themselves, the other 68 for U+0100 to U+0143 in their order.
final class ByteLetters {
  private static final char FIRST = 0x100;
  private static final char[] LETTERS = new char[256];
  private static final short[] BYTES = new short[FIRST + 68];

  static {
    Arrays.fill(BYTES, (short) -1);
    char next = FIRST;
    for (int b = 0; b < 256; b++) {
      boolean itself = b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae;
      LETTERS[b] = itself ? (char) b : next++;
      BYTES[LETTERS[b]] = (short) b;
    }
  }

  private ByteLetters() {}

  /// The letters of all bytes, byte 0 first.
  static char[] all() {
    return LETTERS.clone();
  }

  static String spelling(byte[] bytes) {
    var letters = new StringBuilder(bytes.length);
    for (byte b : bytes) {
      letters.append(LETTERS[b & 0xff]);
    }
    return letters.toString();
  }

  /// @throws DataException if a letter stands for no byte
  static byte[] bytes(String spelling) throws DataException {
    byte[] bytes = new byte[spelling.length()];
    for (int i = 0; i < bytes.length; i++) {
      char letter = spelling.charAt(i);
      if (letter >= BYTES.length || BYTES[letter] < 0) {
        throw new DataException(
            "tokenizer: the token \""
                + Texts.excerpt(spelling)
                + "\" has a letter that stands for no byte, "
                + CharTokenizer.describe(letter)
                + "; need a byte-level vocabulary, as GPT-2's");
      }
      bytes[i] = (byte) BYTES[letter];
    }
    return bytes;
  }
}
