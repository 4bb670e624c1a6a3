package fornax.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RunFolderTest {
  @TempDir Path folder;

  record Config(String preset, long seed, Optimiser optimiser, List<String> data) {
    Config {
      if (seed < 0) {
        throw new IllegalArgumentException("config: got seed " + seed + "; need 0 or more");
      }
    }
  }

  record Optimiser(double rate, int steps) {}

  private static final Config CONFIG =
      new Config("nano", 1337, new Optimiser(1e-3, 2000), List.of("dickens"));

  @Test
  void runsOfTheSameSecondGetFoldersOfTheirOwn() throws IOException {
    var time = LocalDateTime.of(2026, 1, 2, 3, 4, 5);
    Path runs = folder.resolve("some/runs");
    assertEquals(runs.resolve("20260102-030405-nano"), RunFolder.create(runs, "nano", time).path());
    assertEquals(
        runs.resolve("20260102-030405-nano-2"), RunFolder.create(runs, "nano", time).path());
    assertEquals(
        runs.resolve("20260102-030405-nano-3"), RunFolder.create(runs, "nano", time).path());
    assertEquals(runs.resolve("20260102-030405-baby"), RunFolder.create(runs, "baby", time).path());
    assertTrue(
        RunFolder.create(runs, "nano").path().toString().matches(".*/[0-9]{8}-[0-9]{6}-nano"));
    assertThrows(IllegalArgumentException.class, () -> RunFolder.create(runs, "../nano"));
  }

  @Test
  void theConfigIsPrettyAndInOrder() throws IOException {
    var run = RunFolder.at(folder.resolve("new/run"));
    run.writeConfig(CONFIG);
    assertEquals(
        """
        {
          "format" : "fornax-run",
          "preset" : "nano",
          "seed" : 1337,
          "optimiser" : {
            "rate" : 0.001,
            "steps" : 2000
          },
          "data" : [ "dickens" ]
        }
        """,
        Files.readString(run.config()));
    assertEquals(CONFIG, RunFolder.open(run.path()).readConfig(Config.class));
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("z", 1);
    map.put("a", 2);
    map.put("format", "other");
    run.writeConfig(map);
    assertTrue(
        Files.readString(run.config())
            .startsWith("{\n  \"format\" : \"fornax-run\",\n  \"z\" : 1,\n  \"a\" : 2\n}"));
    assertThrows(IllegalArgumentException.class, () -> run.writeConfig(List.of(1)));
    try (var files = Files.list(run.path())) {
      assertEquals(List.of(run.config()), files.toList());
    }
  }

  @Test
  void onlyAnEmptyFolderOrARunsIsTaken() throws IOException {
    assertEquals(folder, RunFolder.at(folder).path());
    Path precious = Files.writeString(folder.resolve("thesis.txt"), "years of work");
    var e = assertThrows(RunFolderException.class, () -> RunFolder.at(folder));
    assertMessage(e, folder.toString(), "thesis.txt", "empty folder", "--out");

    Path weights = Files.createDirectory(folder.resolve("gpt2"));
    Files.writeString(weights.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
    e = assertThrows(RunFolderException.class, () -> RunFolder.at(weights));
    assertMessage(e, weights.toString(), "config.json");

    Path earlier = folder.resolve("earlier");
    RunFolder.at(earlier).writeConfig(CONFIG);
    Files.writeString(earlier.resolve("notes.txt"), "mine");
    assertEquals(earlier, RunFolder.at(earlier).path());
    assertEquals("years of work", Files.readString(precious));
    assertEquals("mine", Files.readString(earlier.resolve("notes.txt")));

    e = assertThrows(RunFolderException.class, () -> RunFolder.at(precious));
    assertMessage(e, precious.toString(), "is a file", "need a folder");
    e = assertThrows(RunFolderException.class, () -> RunFolder.create(precious, "nano"));
    assertMessage(e, precious.toString(), "is a file");
    e = assertThrows(RunFolderException.class, () -> RunFolder.at(precious.resolve("below")));
    assertMessage(e, precious.toString(), "; need a folder");
  }

  @Test
  void anUnwritableFolderIsRefused() throws IOException {
    Path locked = Files.createDirectory(folder.resolve("locked"));
    assertTrue(locked.toFile().setWritable(false));
    try {
      assumeFalse(Files.isWritable(locked), "this user writes to every folder");
      for (Path path : List.of(locked, locked.resolve("below"))) {
        var e = assertThrows(RunFolderException.class, () -> RunFolder.at(path));
        assertMessage(e, path.toString(), "cannot be written to", "--out");
      }
      assertThrows(RunFolderException.class, () -> RunFolder.create(locked, "nano"));
    } finally {
      assertTrue(locked.toFile().setWritable(true));
    }
  }

  /// Linux's own folder of processes refuses new files to every user.
  @Test
  void aFolderOfTheSystemIsRefused() {
    Path system = Path.of("/proc/self");
    assumeFalse(!Files.isDirectory(system), "there is no /proc");
    var e =
        assertThrows(
            RunFolderException.class, () -> RunFolder.create(system.resolve("runs"), "nano"));
    assertMessage(e, "/proc/self/runs", "cannot be written to", "--out");
  }

  @Test
  void openSaysWhatIsMissing() throws IOException {
    Path missing = folder.resolve("missing");
    assertMessage(
        assertThrows(RunFolderException.class, () -> RunFolder.open(missing)),
        missing.toString(),
        "does not exist",
        "./fornax train");
    assertMessage(
        assertThrows(RunFolderException.class, () -> RunFolder.open(folder)),
        folder.toString(),
        "no config.json");
    Path file = Files.writeString(folder.resolve("file"), "");
    assertMessage(
        assertThrows(RunFolderException.class, () -> RunFolder.open(file)), "is no folder");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        " | no \"format\"",
        "[] | no \"format\"",
        "{} | no \"format\"",
        "{\"format\":\"x\"} | no \"format\": \"fornax-run\"",
        "{\"format\":\"fornax-run\" | is not valid",
        "{\"format\":\"fornax-run\"} trailing | is not valid",
        "{\"format\":\"fornax-run\",\"preset\":\"nano\"} | seed",
        "{\"format\":\"fornax-run\",\"preset\":\"nano\",\"seed\":\"x\",\"optimiser\":null,"
            + "\"data\":[]} | \"x\"",
        "{\"format\":\"fornax-run\",\"preset\":\"nano\",\"seed\":1,\"optimiser\":null,\"data\":[],"
            + "\"extra\":1} | \"extra\"",
        "{\"format\":\"fornax-run\",\"preset\":\"nano\",\"seed\":-1,\"optimiser\":null,"
            + "\"data\":[]} | got seed -1; need 0 or more",
      })
  void aCorruptConfigIsRefused(String line) throws IOException {
    int bar = line.lastIndexOf(" | ");
    Files.writeString(folder.resolve("config.json"), line.substring(0, bar));
    var e =
        assertThrows(
            RunFolderException.class, () -> RunFolder.open(folder).readConfig(Config.class));
    assertMessage(e, folder.resolve("config.json").toString(), line.substring(bar + 3), "; need ");
  }

  @Test
  void metricsAreOneObjectALine() throws IOException {
    var run = RunFolder.at(folder);
    try (var log = run.startMetrics()) {
      log.append(new Optimiser(0.5, 1));
      assertEquals("{\"rate\":0.5,\"steps\":1}\n", Files.readString(run.metrics()));
      log.append(Map.of("loss", Double.NaN));
    }
    assertEquals(
        "{\"rate\":0.5,\"steps\":1}\n{\"loss\":\"NaN\"}\n", Files.readString(run.metrics()));
    Files.writeString(run.metrics(), "{\"step\":1}\n{\"st" + "e".repeat(10_000));
    try (var log = run.continueMetrics(Long.MAX_VALUE)) {
      log.append(Map.of("step", 2));
    }
    assertEquals("{\"step\":1}\n{\"step\":2}\n", Files.readString(run.metrics()));
    Files.writeString(run.metrics(), "{\"st" + "e".repeat(4_096));
    try (var log = run.continueMetrics(Long.MAX_VALUE)) {
      log.append(Map.of("step", 3));
    }
    assertEquals("{\"step\":3}\n", Files.readString(run.metrics()));
    try (var log = run.startMetrics()) {
      assertEquals(0, Files.size(run.metrics()));
      log.append(Map.of());
    }
    assertEquals("{}\n", Files.readString(run.metrics()));
    assertFalse(Files.exists(run.model()));
  }

  private static void assertMessage(Throwable e, String... parts) {
    String message = String.valueOf(e.getMessage());
    assertEquals(1, message.lines().count(), message);
    for (String part : parts) {
      assertTrue(message.contains(part), () -> "\"" + message + "\" lacks \"" + part + "\"");
    }
  }

  @Test
  void aLockIsHeldOnceUntilItIsClosed() throws IOException {
    RunFolder run = RunFolder.at(folder.resolve("run"));
    try (var _ = run.lock()) {
      for (int i = 0; i < 2; i++) { // asking does not give up the lock that is held
        RunFolderException e = assertThrows(RunFolderException.class, run::lock);
        assertTrue(String.valueOf(e.getMessage()).contains("another training"), e.toString());
      }
    }
    try (var _ = run.lock()) {
      RunFolder again = RunFolder.at(run.path()); // the lock's file is no other file
      assertEquals(run.path(), again.path());
    }
  }

  @Test
  void lock_isAFileAndNothingElse() throws IOException, InterruptedException {
    var run = RunFolder.at(folder.resolve("piped"));
    Path lock = run.path().resolve(".lock");
    Process made = new ProcessBuilder("mkfifo", lock.toString()).start();
    assumeTrue(made.waitFor() == 0, "no mkfifo here");
    assertMessage(assertThrows(RunFolderException.class, run::lock), "a pipe", "need a file .lock");
    Files.delete(lock);
    Path _ = Files.createDirectory(lock);
    assertMessage(
        assertThrows(RunFolderException.class, run::lock), "a folder", "need a file .lock");
    Files.delete(lock);
    Path _ = Files.write(lock, new byte[] {1, 2, 3}); // whatever is in it
    try (var _ = run.lock()) {
      assertEquals(3, Files.size(lock));
    }
  }
}
