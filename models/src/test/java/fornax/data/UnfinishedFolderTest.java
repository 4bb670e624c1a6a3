package fornax.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnfinishedFolderTest {
  @TempDir Path parent;

  private Set<Path> files() throws IOException {
    try (Stream<Path> all = Files.list(parent)) {
      return all.collect(Collectors.toSet());
    }
  }

  @Test
  void close_leavesNothing() throws IOException {
    try (var folder = UnfinishedFolder.in(parent)) {
      Path _ = Files.writeString(folder.path().resolve("file"), "text");
      assertEquals(2, files().size());
    }
    assertEquals(Set.of(), files());
  }

  @Test
  void close_leavesWhatWasMovedAway() throws IOException {
    Path to = parent.resolve("finished");
    try (var folder = UnfinishedFolder.in(parent)) {
      Path _ = Files.writeString(folder.path().resolve("file"), "text");
      Path _ = Files.move(folder.path(), to);
    }
    assertEquals(Set.of(to), files());
    assertEquals("text", Files.readString(to.resolve("file")));
  }

  @Test
  void ofThisProcess_stayBesideEachOther() throws IOException {
    try (var one = UnfinishedFolder.in(parent);
        var other = UnfinishedFolder.in(parent)) {
      assertNotEquals(one.path(), other.path());
      assertEquals(4, files().size());
    }
    assertEquals(Set.of(), files());
  }

  @Test
  void ofAnotherProcess_staysWhileThatLives_andGoesWhenItWasKilled()
      throws IOException, InterruptedException {
    Process other =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Filling.class.getName(),
                parent.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try {
      Path theirs = Path.of(String.valueOf(other.inputReader().readLine()));
      Set<Path> before = files();
      try (var _ = UnfinishedFolder.in(parent)) {
        assertTrue(files().containsAll(before));
      }
      assertEquals(before, files());
      assertTrue(Files.exists(theirs.resolve("tokens")));
      int _ = other.destroyForcibly().waitFor();
      assertEquals(before, files());
      try (var _ = UnfinishedFolder.in(parent)) {
        assertEquals(2, files().size());
      }
      assertEquals(Set.of(), files());
    } finally {
      Process _ = other.destroyForcibly();
    }
  }

  /// A program that fills a folder and never ends.
  static final class Filling {
    public static void main(String[] arguments) throws Exception {
      try (var folder = UnfinishedFolder.in(Path.of(arguments[0]))) {
        Path _ = Files.writeString(folder.path().resolve("tokens"), "text");
        System.out.println(folder.path());
        Thread.sleep(Long.MAX_VALUE);
      }
    }
  }
}
