package fornax.data;

import fornax.testkit.Fuzz;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/// Any bytes are a text or a [DataException], and a text is encoded and decoded to what it was.
class TextsFuzzTest {
  static final Fuzz FUZZ =
      Fuzz.of("text", TextsFuzzTest::read)
          .seed("\ufeffto be\r\nor not to be\n")
          .seed("na\u00efve \u4f60\u597d \ud83d\ude42\u00a0\u200b")
          .allocating(1 << 20, 200)
          .words("\ufeff", "\r\n", "\u0000");

  private static void read(byte[] input) throws IOException {
    String text = Texts.decode("x", input);
    if (!text.isEmpty()) {
      CharTokenizer tokenizer = CharTokenizer.of(text);
      if (!tokenizer.decode(tokenizer.encode(text)).equals(text)) {
        throw new AssertionError(text);
      }
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areReadOrRefused() {
    FUZZ.run();
  }
}
