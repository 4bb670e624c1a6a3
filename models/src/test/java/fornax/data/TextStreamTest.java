package fornax.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextStreamTest {
  private static final int READ = 1 << 18; // the stream's buffer

  @TempDir Path folder;

  @Test
  void pieces_areTheWholeTextWithTheSameTokens() throws IOException {
    var random = new Random(1);
    var text = new StringBuilder();
    while (text.length() < 300_000) {
      text.append(
          switch (random.nextInt(9)) {
            case 0 -> "\r\n";
            case 1 -> "\r";
            case 2 -> "\n \n";
            case 3 -> "   ";
            case 4 -> " \u00a0\u2003";
            case 5 -> "grün 日本語\u3000";
            case 6 -> "\uD83D\uDE00";
            case 7 -> "it's 12,";
            default -> " word";
          });
    }
    Path a = Files.writeString(folder.resolve("a"), "\uFEFF" + text);
    Path b = Files.writeString(folder.resolve("b"), "after\r");
    Path c = Files.writeString(folder.resolve("c"), "\nend");
    List<String> sources = List.of(a.toString(), b.toString(), c.toString(), "dickens");
    String whole = Texts.load(sources);
    Tokenizer gpt2 = new Gpt2Tokenizer();
    var trainer = new BpeTrainer();
    trainer.count(whole);
    Tokenizer bpe = trainer.train(400, _ -> {});
    for (int size : new int[] {50, 4_000, 1 << 20}) {
      List<String> pieces = new ArrayList<>();
      TextStream.of(sources, size).forEach(pieces::add);
      assertEquals(whole, String.join("", pieces));
      assertTrue(pieces.size() > 1 || size > whole.length());
      for (Tokenizer tokenizer : List.of(gpt2, bpe)) {
        assertArrayEquals(
            tokenizer.encode(whole),
            pieces.stream().flatMapToInt(p -> IntStream.of(tokenizer.encode(p))).toArray(),
            () -> tokenizer + " in pieces of " + size);
      }
    }
  }

  @Test
  void letters_mayStandAcrossTheBuffer() throws IOException {
    for (int before = READ - 4; before <= READ; before++) {
      String text = "a".repeat(before) + "\r\n\uD83D\uDE00\r\nü\r";
      Path file = Files.writeString(folder.resolve("across"), text);
      var read = new StringBuilder();
      TextStream.of(List.of(file.toString())).forEach(read::append);
      assertEquals(text.replace("\r\n", "\n"), read.toString());
    }
  }

  @Test
  void faults_giveTheirPlace() throws IOException {
    byte[] bytes = ("x".repeat(READ) + "ü").getBytes(StandardCharsets.UTF_8);
    bytes[READ + 1] = 'y'; // cuts ü in the middle
    assertFault(bytes, "is not UTF-8: byte 0xC3 at offset " + READ);
    bytes[READ] = 0;
    assertFault(bytes, "is binary: a NUL byte at offset " + READ);
    assertFault(new byte[] {'a', (byte) 0xc3}, "is not UTF-8: byte 0xC3 at offset 1");
    assertFault(new byte[0], "is empty");
    assertFault(new byte[] {(byte) 0xef, (byte) 0xbb, (byte) 0xbf}, "is empty");
    assertThrows(DataException.class, () -> TextStream.of(List.of()));
    assertThrows(DataException.class, () -> TextStream.of(List.of(folder.toString())));
    assertThrows(DataException.class, () -> TextStream.of(List.of("no such file")));
  }

  private void assertFault(byte[] bytes, String want) throws IOException {
    Path file = Files.write(folder.resolve("fault"), bytes);
    var stream = TextStream.of(List.of(file.toString()));
    var e =
        assertThrows(
            DataException.class, () -> stream.forEach(piece -> assertFalse(piece.isEmpty())));
    assertTrue(String.valueOf(e.getMessage()).contains(want), e::toString);
  }
}
