package fornax.data;

import static fornax.data.TextsTest.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.knuddels.jtokkit.Encodings;
import com.knuddels.jtokkit.api.Encoding;
import com.knuddels.jtokkit.api.EncodingType;
import com.knuddels.jtokkit.api.IntArrayList;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
  private static final Encoding REFERENCE =
      Encodings.newLazyEncodingRegistry().getEncoding(EncodingType.R50K_BASE);
  private static final String EMOJI = "\uD83D\uDE00";

  @TempDir Path folder;

  @Test
  void charactersAreTokensInTheirOrder() {
    var tokenizer = CharTokenizer.of("b" + EMOJI + "a\nb");
    assertEquals("char", tokenizer.name());
    assertEquals(4, tokenizer.vocabularySize());
    assertEquals("\nab" + EMOJI, tokenizer.characters());
    assertArrayEquals(new int[] {2, 3, 1, 0}, tokenizer.encode("b" + EMOJI + "a\n"));
    assertEquals("b" + EMOJI + "a\n", tokenizer.decode(2, 3, 1, 0));
    assertEquals(0, tokenizer.encode("").length);
    assertThrows(IllegalArgumentException.class, () -> CharTokenizer.of(""));
    var e = assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(4));
    assertMessage(e, "got token 4", "need 0 to 3");
    assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(-1));
  }

  @Test
  void anUnknownCharacterIsNamed() {
    var tokenizer = CharTokenizer.of("ab" + EMOJI);
    assertMessage(
        assertThrows(UnknownCharacterException.class, () -> tokenizer.encode(EMOJI + "aö")),
        "'ö' (U+00F6)",
        "position 2",
        "ab" + EMOJI,
        "train on a text");
    assertMessage(
        assertThrows(UnknownCharacterException.class, () -> tokenizer.encode("a\n")),
        "U+000A",
        "position 1");
    assertMessage(
        assertThrows(UnknownCharacterException.class, () -> tokenizer.encode("\uD800")), "U+D800");
  }

  @Test
  void dickensHas77Characters() throws IOException {
    String text = Texts.dickens();
    var tokenizer = CharTokenizer.of(text);
    assertEquals(77, tokenizer.vocabularySize());
    int[] tokens = tokenizer.encode(text);
    assertEquals(1_214_976, tokens.length);
    assertEquals(text, tokenizer.decode(tokens));
  }

  @Test
  void gpt2TokensAreThoseOfGpt2() throws IOException {
    var tokenizer = new Gpt2Tokenizer();
    assertEquals("gpt2", tokenizer.name());
    assertEquals(50_257, tokenizer.vocabularySize());
    assertArrayEquals(
        new int[] {40, 7690, 326, 3331, 329}, tokenizer.encode("I chose that bank for"));
    assertArrayEquals(
        new int[] {15496, 11, 314, 1101, 257, 3303, 2746, 11},
        tokenizer.encode("Hello, I'm a language model,"));
    assertEquals("<|endoftext|>", tokenizer.decode(Gpt2Tokenizer.END_OF_TEXT));
    int[] spelled = tokenizer.encode("a<|endoftext|>b");
    assertTrue(spelled.length > 3);
    assertEquals("a<|endoftext|>b", tokenizer.decode(spelled));
    String text = Texts.dickens();
    int[] tokens = tokenizer.encode(text);
    assertEquals(312_566, tokens.length);
    assertEquals(312_569, tokenizer.encode('\uFEFF' + text).length); // as the file has it
    assertEquals(text, tokenizer.decode(tokens));
    for (int token : new int[] {-1, 50_257}) {
      var e = assertThrows(IllegalArgumentException.class, () -> tokenizer.decode(token));
      assertMessage(e, "got token " + token, "need 0 to 50256");
    }
  }

  @Test
  void everyGpt2TokenCanBeDecoded() {
    var tokenizer = new Gpt2Tokenizer();
    int empty = 0;
    for (int token = 0; token < tokenizer.vocabularySize(); token++) {
      if (tokenizer.decode(token).isEmpty()) {
        empty++;
      }
    }
    assertEquals(0, empty);
  }

  @Test
  void aStreamHoldsBackHalfCharacters() {
    var tokenizer = new Gpt2Tokenizer();
    String text = "größer " + EMOJI + " 漢字 \u200D e\u0301";
    int[] tokens = tokenizer.encode(text);
    var decoder = tokenizer.streamingDecoder();
    var streamed = new StringBuilder();
    int held = 0;
    for (int token : tokens) {
      String piece = decoder.next(token);
      assertTrue(piece.indexOf('\uFFFD') < 0, piece);
      held += piece.isEmpty() ? 1 : 0;
      streamed.append(piece);
    }
    assertEquals("", decoder.end());
    assertEquals(text, streamed.toString());
    assertTrue(held > 0);

    int[] half = Arrays.copyOf(tokenizer.encode(EMOJI), 1);
    assertEquals("", decoder.next(half[0]));
    assertEquals("\uFFFD", decoder.end());
    assertEquals("", decoder.end());
    assertEquals("a", decoder.next(tokenizer.encode("a")[0]));
  }

  @Test
  void streamAndWholeAgreeOnRandomTokens() {
    var tokenizer = new Gpt2Tokenizer();
    var random = new SplittableRandom(1);
    for (int round = 0; round < 200; round++) {
      int[] tokens = random.ints(20, 0, 50_257).toArray();
      // A third of the tokens from the single bytes, so that broken UTF-8 is common.
      for (int i = 0; i < tokens.length; i += 3) {
        tokens[i] = random.nextInt(256);
      }
      var decoder = tokenizer.streamingDecoder();
      var streamed = new StringBuilder();
      for (int token : tokens) {
        streamed.append(decoder.next(token));
      }
      streamed.append(decoder.end());
      assertEquals(whole(tokens), streamed.toString());
    }
  }

  /// The reference: all the bytes at once.
  private static String whole(int[] tokens) {
    var list = new IntArrayList();
    for (int token : tokens) {
      list.add(token);
    }
    return new String(REFERENCE.decodeBytes(list), StandardCharsets.UTF_8);
  }

  @Test
  void aSavedTokenizerIsRestored() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    var chars = CharTokenizer.of("\"quoted\"\n\\ \t\u0001ö" + EMOJI);
    chars.save(file);
    Tokenizer restored = Tokenizer.load(file);
    assertEquals(chars.description(), restored.description());
    assertArrayEquals(chars.encode("dö" + EMOJI), restored.encode("dö" + EMOJI));
    new Gpt2Tokenizer().save(file);
    assertEquals("gpt2", Tokenizer.load(file).name());
    assertEquals("{\n  \"type\" : \"gpt2\"\n}\n", Files.readString(file));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"type\":\"words\"} | unknown type \"words\"; need \"char\", \"gpt2\" or \"bpe\"",
        "{} | no type",
        "{\"type\":\"char\"} | no characters",
        "{\"type\":\"char\",\"characters\":\"ba\"} | \"ba\" are not in order",
        "{\"type\":\"char\",\"characters\":\"aa\"} | \"aa\" are not in order",
        "{\"type\" | is not valid",
        "[1] | is not valid",
        "null | is not valid",
        "{\"type\":\"gpt2\"} x | is not valid",
        "{\"type\":{\"a\":1}} | is not valid",
      })
  void aBadDescriptionIsRefused(String line) throws IOException {
    int bar = line.indexOf(" | ");
    Path file = folder.resolve("tokenizer.json");
    Files.writeString(file, line.substring(0, bar));
    var e = assertThrows(DataException.class, () -> Tokenizer.load(file));
    assertMessage(e, file.toString(), line.substring(bar + 3), "; need ");
  }

  @Test
  void aMissingDescriptionIsRefused() {
    Path file = folder.resolve("no.json");
    assertMessage(
        assertThrows(DataException.class, () -> Tokenizer.load(file)), file.toString(), "no file");
    assertThrows(DataException.class, () -> Tokenizer.restore(Map.of()));
  }
}
