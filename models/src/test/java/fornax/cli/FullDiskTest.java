package fornax.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.train.Checkpoints;
import fornax.train.RunFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A disk that is full, files that may grow no further, a folder that may not be written to: each
/// is told in a line that names the file, and the checkpoints from before are there.
class FullDiskTest {
  private static final String SIZES =
      "--device=reference --layers=1 --width=16 --heads=2 --context=8 --batch=1 --eval-every=0"
          + " --sample-every=0 --checkpoint-every=1 ";

  @TempDir Path folder;
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    text = Files.writeString(folder.resolve("text.txt"), "to be or not to be; ".repeat(20));
  }

  private String[] train(Path out, String more) {
    return ("train --data=" + text + " --out=" + out + " " + SIZES + more).split(" ");
  }

  private static int mount(String... args) throws IOException, InterruptedException {
    return new ProcessBuilder(args)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .waitFor();
  }

  private static void assertTold(Cli.Result result, String... parts) {
    assertEquals(ExitCode.BAD_INPUT, result.code(), result.err());
    List<String> lines =
        result.errLines().stream().filter(line -> line.startsWith("fornax: ")).toList();
    assertEquals(1, lines.size(), result.err());
    assertEquals(lines.getFirst(), result.errLines().getLast());
    for (String part : parts) {
      assertTrue(lines.getFirst().contains(part), lines.getFirst() + " lacks " + part);
    }
  }

  /// All that are listed are whole; returns the newest.
  private static Path newest(Path run) throws IOException {
    Checkpoints checkpoints = RunFolder.open(run).checkpoints();
    for (Path checkpoint : checkpoints.list()) {
      Checkpoints.verify(checkpoint);
    }
    Path newest = checkpoints.newest(false);
    assertNotNull(newest);
    return newest;
  }

  @Test
  void fullDisk_andReadOnlyDisk() throws IOException, InterruptedException {
    Path disk = Files.createDirectory(folder.resolve("disk"));
    assumeTrue(
        mount("mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk.toString()) == 0,
        "this user mounts no file systems");
    try {
      Path run = disk.resolve("run");
      assertTold(
          Cli.run(train(run, "--steps=90 --keep=1000")), run.toString(), "No space left on device");
      Path last = newest(run);
      assertTrue(last.compareTo(last.resolveSibling("step-00000002")) > 0, last::toString);

      assertEquals(0, mount("mount", "-o", "remount,ro", disk.toString()));
      assertTold(Cli.run("train", "--resume", run.toString()), run.toString(), "ead-only");
      assertEquals(last, newest(run));
      assertEquals(ExitCode.OK, Cli.run("generate", "--checkpoint", run.toString()).code());

      // With room again it goes on from there.
      assertEquals(0, mount("mount", "-o", "remount,rw,size=9m", disk.toString()));
      Cli.Result resumed = Cli.run("train", "--resume", run.toString());
      assertEquals(ExitCode.OK, resumed.code(), resumed.err());
      assertTrue(newest(run).endsWith("step-00000090"));
    } finally {
      assertEquals(0, mount("umount", disk.toString()));
    }
  }

  @Test
  void fullDisk_whileMetricsAreWritten() throws IOException, InterruptedException {
    Path disk = Files.createDirectory(folder.resolve("disk"));
    assumeTrue(
        mount("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk.toString()) == 0,
        "this user mounts no file systems");
    try {
      Path run = disk.resolve("run");
      assertTold(
          Cli.run(train(run, "--steps=2000 --checkpoint-every=0")),
          run.resolve("metrics.jsonl").toString(),
          "No space left on device");
      Path other = disk.resolve("other"); // whichever file is the first that does not fit
      try (Stream<Path> files = Files.walk(run)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
      assertTold(
          Cli.run(train(other, "--steps=2000 --checkpoint-every=0 --tensorboard")),
          other.toString(),
          "No space left on device");
    } finally {
      assertEquals(0, mount("umount", disk.toString()));
    }
  }

  @Test
  void filesMayNotGrow() throws IOException, InterruptedException {
    Path run = folder.resolve("run");
    assertEquals(ExitCode.OK, Cli.run(train(run, "--steps=3 --keep=9")).code());
    Path gone = newest(run);
    try (Stream<Path> files = Files.walk(gone)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
    Process process =
        new ProcessBuilder(
                "bash",
                "-c",
                "ulimit -f 4; exec \"$@\"", // 4,096 bytes: the config and the metrics, not the
                // weights
                "limited",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:-UsePerfData",
                "-XX:TieredStopAtLevel=1",
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "fornax.cli.Main",
                "train",
                "--resume",
                run.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(ExitCode.BAD_INPUT, process.waitFor(), said);
    String told = said.lines().toList().getLast();
    assertTrue(told.startsWith("fornax: " + run + "/checkpoints/.tmp-"), said);
    assertTrue(
        told.contains(
            "model.safetensors: cannot be written: File too large; what was there before is kept"),
        said);
    assertTrue(newest(run).endsWith("step-00000002"));
    Cli.Result resumed = Cli.run("train", "--resume", run.toString());
    assertEquals(ExitCode.OK, resumed.code(), resumed.err());
  }
}
