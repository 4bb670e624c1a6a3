package fornax.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResourceFilesTest {
  @TempDir Path folder;
  private URL resource;
  private Path cache;
  private byte[] content;

  @BeforeEach
  void findResource() throws Exception {
    resource = Objects.requireNonNull(ResourceFiles.class.getResource("ResourceFiles.class"));
    cache = folder.resolve("a cache").resolve("of libraries");
    try (var in = resource.openStream()) {
      content = in.readAllBytes();
    }
  }

  @Test
  void fileHasTheResourcesNameAndContent() throws Exception {
    Path file = ResourceFiles.unpack(resource, cache);
    assertEquals(cache.resolve("ResourceFiles.class"), file);
    assertTrue(Arrays.equals(content, Files.readAllBytes(file)));
  }

  @Test
  void wholeFile_isNotReplaced() throws Exception {
    Path file = ResourceFiles.unpack(resource, cache);
    Object before = Files.readAttributes(file, "unix:ino").get("ino");
    assertEquals(file, ResourceFiles.unpack(resource, cache));
    assertEquals(before, Files.readAttributes(file, "unix:ino").get("ino"));
  }

  @Test
  void fileOfAnotherSize_isReplaced() throws Exception {
    Path file = ResourceFiles.unpack(resource, cache);
    Files.write(file, Arrays.copyOf(content, content.length - 1));
    assertEquals(file, ResourceFiles.unpack(resource, cache));
    assertTrue(Arrays.equals(content, Files.readAllBytes(file)));
  }

  @Test
  void manyThreads_findItWholeAndLeaveNothingElse() throws Exception {
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (int i = 0; i < 32; i++) {
      tasks.add(
          () -> Arrays.equals(content, Files.readAllBytes(ResourceFiles.unpack(resource, cache))));
    }
    try (var threads = Executors.newFixedThreadPool(8)) {
      for (Future<Boolean> whole : threads.invokeAll(tasks)) {
        assertTrue(whole.get());
      }
    }
    try (Stream<Path> files = Files.list(cache)) {
      assertEquals(
          List.of(".lock", "ResourceFiles.class"),
          files.map(file -> file.getFileName().toString()).sorted().toList());
    }
  }
}
