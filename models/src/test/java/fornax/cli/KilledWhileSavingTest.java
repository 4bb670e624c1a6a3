package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.train.Checkpoints;
import fornax.train.RunFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A run that saves after every step is killed at moments of chance in its saving, and goes on each
/// time from what it left: always a checkpoint as a run that was never killed has at that step.
///
/// `-Dfornax.kills=200` says how often it is killed; 20 times where that is not set.
class KilledWhileSavingTest {
  private static final int KILLS = Integer.getInteger("fornax.kills", 20);
  private static final int MOST_DELAY_MILLIS = 300; // a few savings
  private static final int SIGKILL_EXIT = 128 + 9;
  private static final String STEPS = "100000";

  @TempDir Path folder;

  private Process start(String... args) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "fornax.cli.Main",
                "train"));
    command.addAll(List.of(args));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("said.txt").toFile())
        .start();
  }

  private String[] begin(Path out, String steps, String keep) {
    return ("--device=reference --layers=1 --width=8 --heads=2 --context=4 --batch=1 --dropout=0.1"
            + " --schedule=constant --warmup=0 --eval-every=0 --sample-every=0"
            + " --checkpoint-every=1 --data="
            + folder.resolve("text.txt")
            + " --out="
            + out
            + " --steps="
            + steps
            + " --keep="
            + keep)
        .split(" ");
  }

  private static Set<String> names(Path checkpoints) throws IOException {
    if (!Files.isDirectory(checkpoints)) {
      return Set.of();
    }
    try (Stream<Path> all = Files.list(checkpoints)) {
      return all.map(path -> path.getFileName().toString()).collect(Collectors.toSet());
    }
  }

  /// What a saving that was cut off had written.
  private static String left(Path checkpoints) throws IOException {
    for (String name : names(checkpoints)) {
      if (name.startsWith(".tmp-")) {
        long files = names(checkpoints.resolve(name)).size();
        return name.startsWith(".tmp-dropped")
            ? "while one was deleted"
            : "with %d of 6 files written".formatted(files);
      }
    }
    return "between two savings";
  }

  /// @param sums of the weights and the moments
  /// @param state where training stood
  private record Saved(List<String> sums, String state) {
    static Saved in(Path checkpoint) throws IOException {
      return new Saved(
          Files.readAllLines(checkpoint.resolve("checksums.sha256")).stream()
              .filter(line -> line.endsWith(".safetensors"))
              .toList(),
          JsonMapper.builder()
              .build()
              .readTree(checkpoint.resolve("state.json").toFile())
              .get("training")
              .toString());
    }
  }

  @Test
  @Tag("slow")
  void thereIsAlwaysACheckpointThatTheRunHad() throws IOException, InterruptedException {
    Path _ =
        Files.writeString(folder.resolve("text.txt"), "to be or not to be, that is\n".repeat(9));
    Path run = folder.resolve("run");
    Path checkpoints = run.resolve("checkpoints");
    var random = new Random(Long.getLong("fornax.fuzz.seed", 42));
    Map<Integer, Saved> found = new HashMap<>();
    Map<String, Integer> moments = new TreeMap<>();
    int last = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      Set<String> before = names(checkpoints);
      Process process =
          kill == 0 ? start(begin(run, STEPS, "2")) : start("--resume", run.toString());
      while (process.isAlive()
          && (names(checkpoints).equals(before)
              || !Files.isDirectory(checkpoints.resolve("step-00000001")) && kill == 0)) {
        boolean _ = process.waitFor(1, TimeUnit.MILLISECONDS);
      }
      boolean _ = process.waitFor(random.nextInt(MOST_DELAY_MILLIS * 1000), TimeUnit.MICROSECONDS);
      process.destroyForcibly();
      assertEquals(SIGKILL_EXIT, process.waitFor(), Files.readString(folder.resolve("said.txt")));
      moments.merge(left(checkpoints), 1, Integer::sum);

      Checkpoints all = RunFolder.open(run).checkpoints();
      for (Path checkpoint : all.list()) {
        Checkpoints.verify(checkpoint); // each that is there is whole
      }
      Path newest = all.newest(false);
      assertNotNull(newest);
      int step = Integer.parseInt(newest.getFileName().toString().substring("step-".length()));
      assertTrue(step >= last, () -> "a checkpoint was lost");
      last = step;
      found.put(step, Saved.in(newest));
    }
    System.out.printf(Locale.ROOT, "killed %d times, up to step %d: %s%n", KILLS, last, moments);
    assertTrue(moments.size() > 1, "never killed while saving: " + moments);

    // The same run, never killed.
    Path whole = folder.resolve("whole");
    Process process = start(begin(whole, Integer.toString(last + 1), "1000000"));
    assertEquals(0, process.waitFor(), Files.readString(folder.resolve("said.txt")));
    for (Map.Entry<Integer, Saved> entry : found.entrySet()) {
      String name = "step-%08d".formatted(entry.getKey());
      Saved had = Saved.in(whole.resolve("checkpoints").resolve(name));
      assertEquals(2, had.sums().size());
      assertEquals(had, entry.getValue(), name);
    }
  }
}
