package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SimilarCommandTest {
  private static final String TEXT =
      """
      The cat sat on the mat.
      An elderly gentleman goes for a stroll in the dark.

      Stock prices rose sharply today.
      Night is generally my time for walking.
      """;
  private static final String ASKED = "An old man walks at night";

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void write() throws IOException {
    file = Files.writeString(folder.resolve("lines.txt"), TEXT);
  }

  private static String out(String... args) {
    Cli.Result result = Cli.run(args);
    assertEquals(0, result.code(), result.err());
    return result.out();
  }

  @Test
  void similar_ranksLinesByMeaning() {
    List<String> lines = out("similar", ASKED, file.toString(), "--device", "cpu").lines().toList();
    assertEquals(4, lines.size());
    // The scores that ONNX Runtime's output gives.
    assertEquals(" 0.752  2  An elderly gentleman goes for a stroll in the dark.", lines.get(0));
    assertEquals(" 0.464  5  Night is generally my time for walking.", lines.get(1));
  }

  @Test
  void similar_printsJson() throws IOException {
    String out = out("similar", ASKED, file.toString(), "--device", "cpu", "--top", "2", "--json");
    assertEquals(1, out.lines().count());
    JsonNode json = JsonMapper.builder().build().readTree(out);
    assertEquals(ASKED, json.path("sentence").asText());
    assertEquals(2, json.path("lines").size());
    assertEquals(5, json.path("lines").path(1).path("line").intValue());
    assertEquals(0.464, json.path("lines").path(1).path("score").doubleValue(), 1e-3);
  }

  @Test
  void similar_readsStandardInput() {
    InputStream before = System.in;
    System.setIn(new ByteArrayInputStream(TEXT.getBytes(StandardCharsets.UTF_8)));
    try {
      String out = out("similar", ASKED, "-", "--device", "cpu", "--top", "1");
      assertTrue(out.startsWith(" 0.752  2  An elderly"), out);
    } finally {
      System.setIn(before);
    }
  }

  private static void assertError(String part, String... args) {
    Cli.Result result = Cli.run(args);
    assertEquals(2, result.code(), result.err());
    assertTrue(result.err().contains(part), result.err());
    assertEquals("", result.out());
  }

  @Test
  void similar_saysWhatIsWrong() throws IOException {
    assertError("need words to look for", "similar", " ", file.toString());
    assertError("no file", "similar", ASKED, folder.resolve("none").toString());
    Path blank = Files.writeString(folder.resolve("blank.txt"), " \n\n");
    assertError("no line with words", "similar", ASKED, blank.toString());
    assertError("need a whole number", "similar", ASKED, file.toString(), "--top", "0");
    assertError(
        "no config.json",
        "similar",
        ASKED,
        file.toString(),
        "--device",
        "cpu",
        "--model",
        folder.toString());
  }
}
