package fornax.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextsTest {
  @TempDir Path folder;

  @Test
  void dickensIsTheWholeNovel() throws IOException {
    String text = Texts.dickens();
    assertEquals(1_214_976, text.length());
    assertEquals(77, text.chars().distinct().count());
    assertTrue(text.chars().allMatch(c -> c < 128));
    assertTrue(text.contains("The Old Curiosity Shop") || text.contains("OLD CURIOSITY SHOP"));
  }

  @Test
  void shakespeareIsSpeechesWithoutStageDirections() throws IOException {
    String text = Texts.shakespeare();
    assertEquals(401_507, text.length());
    assertEquals(63, text.chars().distinct().count());
    assertTrue(text.startsWith("BERNARDO:\nWho's there?\n\nFRANCISCO:\nNay, answer me: stand,"));
    assertTrue(text.contains("\n\nHAMLET:\nA little more than kin, and less than kind.\n\n"));
    assertTrue(text.contains("\n\nMARCELLUS, HORATIO:\nMy lord, my lord,--\n\n"));
    assertTrue(text.contains("\n\nTwo households, both alike in dignity,\n"));
    assertFalse(text.contains("\n\n\n"));
    assertTrue(text.contains("\n\nROMEO:\nIf I profane with my unworthiest hand"));
    assertTrue(text.contains("\nTo-morrow, and to-morrow, and to-morrow,\n"));
    assertTrue(text.endsWith("\n\n"));
    assertEquals(2_628, text.split("\n\n").length);
  }

  @Test
  void filesAreReadStrictly() throws IOException {
    Path file = folder.resolve("a.txt");
    Files.write(
        file, "\uFEFFone\r\ntwo\rthree\n grün \uD83D\uDE00".getBytes(StandardCharsets.UTF_8));
    assertEquals("one\ntwo\rthree\n grün \uD83D\uDE00", Texts.read(file));
  }

  @Test
  void severalSourcesAreJoinedByANewline() throws IOException {
    Path a = Files.writeString(folder.resolve("a"), "one");
    Path b = Files.writeString(folder.resolve("b"), "two\n");
    Path c = Files.writeString(folder.resolve("c"), "three");
    assertEquals("one\ntwo\nthree", Texts.load(List.of(a.toString(), b.toString(), c.toString())));
    assertEquals(
        Texts.dickens().length() + 1 + Texts.shakespeare().length(),
        Texts.load(List.of("dickens", "shakespeare")).length()
            + (Texts.dickens().endsWith("\n") ? 1 : 0));
  }

  @Test
  void whatIsNoTextIsRefused() throws IOException {
    Path missing = folder.resolve("missing.txt");
    refused(missing, "no file " + missing, "dickens");
    refused(folder, "is a folder", "need a text file");
    Path empty = Files.writeString(folder.resolve("empty"), "");
    refused(empty, "is empty");
    Path mark =
        Files.write(folder.resolve("bom"), new byte[] {(byte) 0xef, (byte) 0xbb, (byte) 0xbf});
    refused(mark, "is empty");
    Path binary = Files.write(folder.resolve("binary"), new byte[] {'a', 'b', 0, 'c'});
    refused(binary, "a NUL byte at offset 2", "UTF-8");
    Path latin1 =
        Files.write(folder.resolve("latin1"), "grün".getBytes(StandardCharsets.ISO_8859_1));
    refused(latin1, "not UTF-8", "byte 0xFC at offset 2", "iconv");
    Path cut = Files.write(folder.resolve("cut"), new byte[] {'a', (byte) 0xe2, (byte) 0x82});
    refused(cut, "byte 0xE2 at offset 1");
    Path surrogate =
        Files.write(
            folder.resolve("surrogate"), new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80});
    refused(surrogate, "byte 0xED at offset 0");
    assertThrows(DataException.class, () -> Texts.load(List.of()));
  }

  @Test
  void anUnreadableFileIsRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("secret"), "text");
    var _ = file.toFile().setReadable(false);
    assumeFalse(Files.isReadable(file), "this user reads every file");
    refused(file, "may not be read", "chmod");
  }

  private static void refused(Path file, String... parts) {
    var e = assertThrows(DataException.class, () -> Texts.load(List.of(file.toString())));
    assertMessage(e, file.toString());
    assertMessage(e, parts);
  }

  static void assertMessage(Throwable e, String... parts) {
    String message = String.valueOf(e.getMessage());
    assertEquals(1, message.lines().count(), message);
    for (String part : parts) {
      assertTrue(message.contains(part), () -> "\"" + message + "\" lacks \"" + part + "\"");
    }
  }
}
