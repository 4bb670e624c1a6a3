package fornax.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WordPieceTokenizerTest {
  private static WordPieceTokenizer miniLm;

  @TempDir Path folder;

  @BeforeAll
  static void read() throws IOException {
    miniLm = WordPieceTokenizer.read(MiniLm.files(_ -> {}).tokenizer());
  }

  /// The tokens are those that Hugging Face's tokenizers 0.22 (by DJL 0.38) gives: of sentences in
  /// many scripts, control characters, accents, special tokens, long words, and random mixtures.
  @Test
  void encode_isHuggingFaces() throws IOException {
    JsonNode cases;
    try (var in =
        Objects.requireNonNull(
            WordPieceTokenizerTest.class.getResourceAsStream("/fornax/data/wordpiece.json"))) {
      cases = JsonMapper.builder().build().readTree(in);
    }
    assertEquals(198, cases.size());
    for (JsonNode each : cases) {
      int[] tokens = new int[each.get("tokens").size()];
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = each.get("tokens").get(i).intValue();
      }
      assertArrayEquals(
          tokens, miniLm.encode(each.get("text").asText(), 1000), each.get("text").toString());
    }
  }

  @Test
  void encode_cutsWhatIsTooLong() {
    assertEquals(30_522, miniLm.vocabularySize());
    assertEquals(128, miniLm.maxTokens());
    int[] whole = miniLm.encode("word ".repeat(126));
    assertArrayEquals(whole, miniLm.encode("word ".repeat(127)));
    assertEquals(128, whole.length);
    assertEquals(102, whole[127]);
    assertArrayEquals(new int[] {101, 2773, 102}, miniLm.encode("word word", 3));
    assertArrayEquals(new int[] {101, 102}, miniLm.encode("word", 2));
  }

  private String error(String json) throws IOException {
    Path file = Files.writeString(folder.resolve("tokenizer.json"), json);
    var error = assertThrows(DataException.class, () -> drop(WordPieceTokenizer.read(file)));
    String message = String.valueOf(error.getMessage());
    assertTrue(message.contains(file.toString()), message);
    return message;
  }

  private static void drop(WordPieceTokenizer tokenizer) {
    assertTrue(tokenizer.vocabularySize() >= 0);
  }

  @Test
  void read_saysWhatIsWrong() throws IOException {
    assertTrue(error("{\"model\": ").contains("not valid"));
    String parts =
        """
        {"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
         "model": {"type": "%s", "vocab": %s}}
        """;
    assertTrue(error(parts.formatted("BPE", "{}")).contains("got type \"BPE\"; need WordPiece"));
    assertTrue(error(parts.formatted("WordPiece", "{}")).contains("got no tokens"));
    assertTrue(error(parts.formatted("WordPiece", "{\"[UNK]\": \"x\"}")).contains("got \"x\""));
    assertTrue(error(parts.formatted("WordPiece", "{\"[UNK]\": 0}")).contains("[CLS] is missing"));
  }
}
