package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerCommandTest {
  @TempDir Path folder;

  @Test
  void trainedTokenizer_isWrittenAsHuggingFaceReadsIt() throws IOException {
    Path out = folder.resolve("tokens");
    Cli.Result result =
        Cli.run("tokenizer", "train", "--data", "dickens", "--vocab", "600", "--out", out + "");
    assertEquals(0, result.code(), result.err());
    assertTrue(result.out().startsWith("600 tokens from 1,214,976 bytes ("), result.out());
    for (String file : new String[] {"tokenizer.json", "vocab.json", "merges.txt"}) {
      assertTrue(Files.size(out.resolve(file)) > 1000, file);
    }
    Cli.Result again =
        Cli.run("tokenizer", "train", "--data", "dickens", "--vocab", "600", "--out", out + "");
    assertEquals(2, again.code());
    assertTrue(again.err().contains("exists; need a new or empty folder"), again.err());
  }

  @Test
  void badInput_isNamed() {
    assertTrue(Cli.run("tokenizer").err().contains("tokenizer: no command; need train"));
    Cli.Result small =
        Cli.run("tokenizer", "train", "--data", "dickens", "--vocab", "256", "--out", "x");
    assertEquals(2, small.code());
    assertTrue(small.err().contains("--vocab: too small; got 256; need at least 257"));
    assertTrue(
        Cli.run("tokenizer", "train", "--help")
            .out()
            .contains("fornax tokenizer train [OPTION...]"));
  }
}
