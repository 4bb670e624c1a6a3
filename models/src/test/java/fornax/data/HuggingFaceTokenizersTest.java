package fornax.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.models.TinyGpt2;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Byte-level BPE from Hugging Face's files; jtokkit knows what GPT-2's gives.
class HuggingFaceTokenizersTest {
  @TempDir Path folder;

  private Tokenizer read() throws IOException {
    return Objects.requireNonNull(HuggingFaceTokenizers.read(folder));
  }

  @Test
  void gpt2_isThatOfItsFiles() throws IOException {
    var oracle = new Gpt2Tokenizer();
    HuggingFaceTokenizers.write(oracle, 1024, folder);
    List<String> lines = Files.readAllLines(folder.resolve("merges.txt"));
    assertEquals(50_001, lines.size());
    // As the published file begins.
    assertEquals(
        List.of("\u0120 t", "\u0120 a", "h e", "i n", "r e", "o n", "\u0120t he"),
        lines.subList(1, 8));
    List<String> texts =
        List.of(
            "",
            "I chose that bank for",
            "Hello, I'm a language model; they'll've\t\n\n  done  it's\r\n 1234 + \u00bd   ",
            "na\u00efve \u4f60\u597d \ud83d\ude42\u00a0\u2003x\u200b <|endoftext|> 'S DON'T",
            Texts.load(List.of("dickens")).substring(10_000, 60_000),
            "a".repeat(1001) + " " + letters(5000) + " " + letters(65) + " ".repeat(300));
    Tokenizer whole = read();
    Files.delete(folder.resolve("tokenizer.json"));
    for (Tokenizer tokenizer : List.of(whole, read())) {
      assertEquals(50_257, tokenizer.vocabularySize());
      for (String text : texts) {
        assertArrayEquals(oracle.encode(text), tokenizer.encode(text), text);
        assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
      }
      assertEquals("<|endoftext|>", tokenizer.decode(50_256));
    }
  }

  private static String letters(int count) {
    return new Random(count)
        .ints(count, 0, 26)
        .mapToObj(letter -> Character.toString('a' + letter))
        .collect(Collectors.joining());
  }

  @Test
  void wordAsLongAsARequest_takesNoLongerForIt() throws IOException {
    HuggingFaceTokenizers.write(new Gpt2Tokenizer(), 1024, folder);
    Tokenizer tokenizer = read();
    String word = letters(1 << 18);
    int[] tokens = assertTimeout(Duration.ofSeconds(30), () -> tokenizer.encode(word));
    assertArrayEquals(new Gpt2Tokenizer().encode(word), tokens);
  }

  @Test
  void savedTokenizer_isRestored() throws IOException {
    TinyGpt2.writeTokenizer(folder);
    Tokenizer tokenizer = read();
    assertArrayEquals(new int[] {96, 't' - '!', 94, 'e' - '!'}, tokenizer.encode("tht e"));
    Path saved = folder.resolve("saved.json");
    tokenizer.save(saved);
    assertEquals(tokenizer.description(), Tokenizer.load(saved).description());
    assertEquals(tokenizer.description(), Tokenizer.restore(tokenizer.description()).description());
  }

  @Test
  void characterOutsideTheVocabulary_isNamed() throws IOException {
    TinyGpt2.writeTokenizer(folder);
    Tokenizer tokenizer = read();
    String message =
        String.valueOf(
            assertThrows(UnknownCharacterException.class, () -> tokenizer.encode("ab the\u00e9"))
                .getMessage());
    assertTrue(message.contains("U+00E9") && message.contains("position 6"), message);
  }

  /// Hugging Face's transformers 5.18 with tokenizers 0.23 gives `[1, 0, 2, 2]` for "b\na\u00e9"
  /// where it has read this file.
  @Test
  void characters_areWrittenAsHuggingFaceReadsThem() throws IOException {
    HuggingFaceTokenizers.write(CharTokenizer.of("a\nb\u00e9"), 8, folder);
    assertEquals(
        """
        {"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,\
        "pre_tokenizer":{"type":"Split","pattern":{"Regex":"[\\\\s\\\\S]"},"behavior":"Isolated",\
        "invert":false},"post_processor":null,"decoder":{"type":"Fuse"},\
        "model":{"type":"WordLevel","vocab":{"\\n":0,"a":1,"b":2,"\u00e9":3},"unk_token":"\\n"}}
        """,
        Files.readString(folder.resolve("tokenizer.json")));
  }

  @Test
  void noFiles() throws IOException {
    assertNull(HuggingFaceTokenizers.read(folder));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"a":0,"b":2} | a b | got 2 for "b"; need a number of 0 to 1
          {"a":0,"b":0} | a b | number 0 is of
          {"a":0,"b":1} | a b | is of tokens that the vocabulary lacks
          {"a":0,"b":1} | ab  | need two tokens and a space
          {"a":0,"\u4f60":1} | '' | stands for no byte
          {"a":0,"b":"x"} | '' | need a number
          [] | '' | got no tokens
          {    | '' | is not valid
          """)
  void corruptFiles_areRefused(String vocabulary, String merges, String message)
      throws IOException {
    Files.writeString(folder.resolve("vocab.json"), vocabulary);
    Files.writeString(folder.resolve("merges.txt"), merges);
    String got =
        String.valueOf(
            assertThrows(DataException.class, () -> HuggingFaceTokenizers.read(folder))
                .getMessage());
    assertTrue(got.contains(message), got);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"model":{"type":"Unigram"}} | got type "Unigram"; need BPE or WordLevel
          {"model":{"type":"BPE"},"pre_tokenizer":{"type":"Whitespace"}} | need GPT-2's
          {"model":{"type":"WordLevel","vocab":{"ab":0}}} | need a WordLevel model of single
          """)
  void otherTokenizers_areRefused(String json, String message) throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), json);
    String got =
        String.valueOf(
            assertThrows(DataException.class, () -> HuggingFaceTokenizers.read(folder))
                .getMessage());
    assertTrue(got.contains(message), got);
    assertEquals(
        got,
        assertThrows(DataException.class, () -> Tokenizer.load(folder.resolve("tokenizer.json")))
            .getMessage());
  }

  @Test
  void numberAboveTheTokens_reservesNothing() throws IOException {
    Files.writeString(folder.resolve("vocab.json"), "{\"a\":16777215}");
    Files.writeString(folder.resolve("merges.txt"), "");
    var e = assertThrows(DataException.class, () -> HuggingFaceTokenizers.read(folder));
    assertTrue(
        String.valueOf(e.getMessage()).contains("got 16777215 for \"a\"; need a number of 0 to 0"));
  }

  @Test
  void merges_thatAreNoUtf8_areRefused() throws IOException {
    Files.writeString(folder.resolve("vocab.json"), "{\"a\":0}");
    Files.write(folder.resolve("merges.txt"), new byte[] {'a', ' ', (byte) 0xff});
    var e = assertThrows(DataException.class, () -> HuggingFaceTokenizers.read(folder));
    assertTrue(String.valueOf(e.getMessage()).contains("is not UTF-8"), e::toString);
  }

  @Test
  void tokenThatStandsTwice_isRefused() throws IOException {
    Files.writeString(folder.resolve("vocab.json"), "{\"a\":0,\"a\":1}");
    Files.writeString(folder.resolve("merges.txt"), "");
    assertThrows(DataException.class, () -> HuggingFaceTokenizers.read(folder));
  }

  @Test
  void restore_needsTheVocabulary() {
    assertThrows(DataException.class, () -> Tokenizer.restore(Map.of("type", "bpe")));
  }
}
