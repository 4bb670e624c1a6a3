package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.models.Devices;
import fornax.train.RunConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// A run that was stopped, whatever stopped it, goes on as if it had not been.
class ResumeTest {
  private static final int SIGKILL_EXIT = 128 + 9;
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final String SIZES =
      "--layers=1 --width=16 --heads=2 --context=8 --batch=2 --dropout=0.1 --steps=20 ";

  @TempDir static Path shared;
  private static Path text;
  private static Path finished; // 20 steps on the CPU, with checkpoints at 5, 10, 15 and 20

  @TempDir Path folder;

  @BeforeAll
  static void trainOnce() throws IOException {
    text = shared.resolve("text.txt");
    Path _ = Files.writeString(text, "to be or not to be, that is the question;\n".repeat(60));
    finished = shared.resolve("finished");
    ok(train(SIZES + "--checkpoint-every=5 --keep=9 --eval-every=0 --sample-every=0", finished));
  }

  private static String[] train(String options, Path out) {
    return ("train --device=cpu --data=" + text + " --out=" + out + " " + options).split(" ");
  }

  @CanIgnoreReturnValue
  private static Cli.Result ok(String... args) {
    Cli.Result result = Cli.run(args);
    assertEquals(ExitCode.OK, result.code(), result.err());
    return result;
  }

  private static void assertRefused(Cli.Result result, String... parts) {
    assertEquals(ExitCode.BAD_INPUT, result.code(), result.err());
    assertEquals(1, result.errLines().size(), result.err());
    for (String part : parts) {
      assertTrue(result.err().contains(part), result.err() + " lacks " + part);
    }
  }

  @Test
  void aFolderThatIsBeingWrittenTo_isRefused() throws IOException, InterruptedException {
    Launcher launcher = Launcher.in(Files.createDirectories(folder.resolve("program")));
    Path run = folder.resolve("run");
    String sizes = SIZES.replace("--steps=20", "--steps=1000000");
    Process other =
        launcher
            .command(
                folder,
                "",
                train(sizes + "--checkpoint-every=5 --eval-every=0 --sample-every=0", run))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("said.txt").toFile())
            .start();
    try {
      while (other.isAlive() && !Files.exists(checkpoint(run, 5))) {
        boolean _ = other.waitFor(1, TimeUnit.MILLISECONDS);
      }
      String need = "is being written to by another training; need one at a time";
      assertRefused(Cli.run("train", "--resume", run.toString()), run.toString(), need);
      Cli.Result anew = Cli.run(train(SIZES, run));
      assertEquals(ExitCode.BAD_INPUT, anew.code(), anew.err());
      assertTrue(anew.err().contains(run + " " + need), anew.err());
      assertTrue(other.isAlive(), Files.readString(folder.resolve("said.txt")));
    } finally {
      other.destroyForcibly();
      assertEquals(SIGKILL_EXIT, other.waitFor());
    }
    ok(train(SIZES, run)); // the lock ended with the process
  }

  private Path copyOf(Path run) throws IOException {
    Path copy = folder.resolve("copy");
    try (Stream<Path> files = Files.walk(run)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Path _ = Files.copy(file, copy.resolve(run.relativize(file)));
      }
    }
    return copy;
  }

  private static Path checkpoint(Path run, int step) {
    return run.resolve("checkpoints").resolve("step-%08d".formatted(step));
  }

  private static List<String> checkpoints(Path run) throws IOException {
    try (Stream<Path> all = Files.list(run.resolve("checkpoints"))) {
      return all.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  private static void delete(Path tree) throws IOException {
    try (Stream<Path> all = Files.walk(tree)) {
      for (Path path : all.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(path);
      }
    }
  }

  /// All there is to compare of two runs: bytes of weights and moments, and each number reported
  /// but times and memory.
  static void assertSameRun(Path expected, Path got, int steps) throws IOException {
    assertArrayEquals(
        Files.readAllBytes(expected.resolve("model.safetensors")),
        Files.readAllBytes(got.resolve("model.safetensors")),
        "weights");
    for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(checkpoint(expected, steps).resolve(file)),
          Files.readAllBytes(checkpoint(got, steps).resolve(file)),
          file);
    }
    assertEquals(state(expected, steps), state(got, steps));
    List<JsonNode> metrics = metrics(expected);
    assertEquals(metrics, metrics(got));
    assertEquals(
        steps, metrics.stream().filter(line -> line.has("gradientNorm")).count(), "steps recorded");
  }

  private static JsonNode state(Path run, int step) throws IOException {
    JsonNode state = JSON.readTree(checkpoint(run, step).resolve("state.json").toFile());
    assertTrue(state.get("version").asText().startsWith("Fornax "), state::toString);
    return state.get("training");
  }

  private static List<JsonNode> metrics(Path run) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      if (JSON.readTree(line).has("sample")) {
        continue; // not all runs make samples
      }
      lines.add(
          ((ObjectNode) JSON.readTree(line))
              .retain(
                  "step",
                  "loss",
                  "gradientNorm",
                  "learningRate",
                  "spike",
                  "validationLoss",
                  "validationTokens"));
    }
    return lines;
  }

  @ParameterizedTest
  @CsvSource({"cpu, f32, 2", "cpu, bf16, 1", "opencl, f32, 2"})
  void killedRun_goesOnBitForBit(String device, String precision, int accumulate)
      throws IOException, InterruptedException {
    if (device.equals("opencl")) {
      Devices.requireOpenCl();
    }
    Launcher launcher = Launcher.in(Files.createDirectories(folder.resolve("program")));
    String[] args =
        (SIZES
                + "--checkpoint-every=5 --eval-every=7 --eval-batches=2 --device="
                + device
                + " --precision="
                + precision
                + " --accumulate="
                + accumulate)
            .split(" ");
    Path straight = folder.resolve("straight");
    Cli.Result whole = launcher.run(folder, "", with(args, straight, text, "--sample-every=0"));
    assertEquals(ExitCode.OK, whole.code(), whole.err());

    Path killed = folder.resolve("killed");
    Process process =
        launcher
            // A sample takes the time in which the signal comes.
            .command(folder, "", with(args, killed, text, "--sample-every=11"))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("said.txt").toFile())
            .start();
    while (process.isAlive() && !Files.exists(checkpoint(killed, 10))) {
      boolean _ = process.waitFor(1, TimeUnit.MILLISECONDS);
    }
    process.destroyForcibly();
    assertEquals(SIGKILL_EXIT, process.waitFor(), Files.readString(folder.resolve("said.txt")));
    assertFalse(Files.exists(killed.resolve("model.safetensors")), "it had ended");

    Cli.Result resumed = launcher.run(folder, "", "train", "--resume", killed.toString());
    assertEquals(ExitCode.OK, resumed.code(), resumed.err());
    assertTrue(resumed.err().matches("(?s).*resumed: .*, step 1[0-9] of 20.*"), resumed.err());
    assertSameRun(straight, killed, 20);
  }

  private static String[] with(String[] args, Path out, Path data, String more) {
    return Stream.concat(
            Stream.of("train", "--out", out.toString(), "--data", data.toString(), more),
            Arrays.stream(args))
        .toArray(String[]::new);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
        "checksums.sha256"
      })
  void damagedCheckpoint_isRefusedByNameAndTheOneBeforeTakenIfAsked(String file)
      throws IOException {
    Path run = copyOf(finished);
    delete(checkpoint(run, 20));
    Path damaged = checkpoint(run, 15).resolve(file);
    byte[] bytes = Files.readAllBytes(damaged);
    bytes[bytes.length / 2] ^= 1;
    Path _ = Files.write(damaged, bytes);

    assertRefused(
        Cli.run("train", "--resume", run.toString()),
        damaged + " is damaged",
        "--skip-damaged takes the checkpoint before");
    for (String command : List.of("eval", "generate")) {
      assertRefused(
          Cli.run(command, "--checkpoint", checkpoint(run, 15).toString()),
          damaged + " is damaged");
    }
    Cli.Result resumed = ok("train", "--resume", run.toString(), "--skip-damaged");
    assertTrue(resumed.err().contains("step 10 of 20"), resumed.err());
    assertSameRun(finished, run, 20);
  }

  @Test
  void bf16Products_areByWhatTheRunBeganWith() throws IOException {
    Path run = folder.resolve("run");
    String often = "--checkpoint-every=10 --keep=9 --eval-every=0 --sample-every=0";
    ok(train(SIZES + "--precision=bf16 --matmul=java " + often, run));
    delete(checkpoint(run, 20));
    String said = ok("train", "--resume", run.toString()).err();
    assertFalse(said.contains("bf16 products were"), said);

    delete(checkpoint(run, 20));
    Path file = checkpoint(run, 10).resolve("config.json");
    Path sums = checkpoint(run, 10).resolve("checksums.sha256");
    String config = Files.readString(file);
    assertTrue(config.contains("\"matmul\" : \"java\""), config);
    String other = config.replace("\"java\"", "\"onednn\"");
    Path _ = Files.writeString(file, other);
    String listed = Files.readString(sums).replaceFirst("# .*\n", "");
    String now = listed.replace(RunConfig.sha256(config), RunConfig.sha256(other));
    Path _ = Files.writeString(sums, now + "# " + RunConfig.sha256(now) + "\n");
    said = ok("train", "--resume", run.toString(), "--matmul=java").err();
    assertTrue(
        said.contains("note: the run's bf16 products were by onednn; they are by java from now on"),
        said);
  }

  @Test
  void allDamaged_isRefusedEvenIfAsked() throws IOException {
    Path run = copyOf(finished);
    for (String name : checkpoints(run)) {
      Files.delete(run.resolve("checkpoints").resolve(name).resolve("state.json"));
    }
    assertRefused(
        Cli.run("train", "--resume", run.toString(), "--skip-damaged"),
        checkpoint(run, 20).resolve("state.json") + " is damaged: it is missing");
  }

  @Test
  void interruptedRun_goesOnFromWhereItStopped() throws IOException, InterruptedException {
    Launcher launcher = Launcher.in(Files.createDirectories(folder.resolve("program")));
    Path run = folder.resolve("run");
    Process process =
        launcher
            .command(
                folder,
                "",
                with(
                    (SIZES + "--checkpoint-every=1000 --eval-every=0 --device=cpu").split(" "),
                    run,
                    text,
                    "--sample-every=1"))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("said.txt").toFile())
            .start();
    Path metrics = run.resolve("metrics.jsonl");
    while (process.isAlive() && (!Files.exists(metrics) || Files.size(metrics) == 0)) {
      boolean _ = process.waitFor(1, TimeUnit.MILLISECONDS);
    }
    assertEquals(0, new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor());
    assertEquals(ExitCode.INTERRUPTED, process.waitFor());
    String said = Files.readString(folder.resolve("said.txt"));
    assertTrue(said.contains("It goes on with:     ./fornax train --resume " + run), said);
    assertEquals(1, checkpoints(run).size());
    Cli.Result resumed = ok("train", "--resume", run.toString());
    assertTrue(resumed.err().matches("(?s).*, step [1-9][0-9]? of 20.*"), resumed.err());
    assertArrayEquals(
        Files.readAllBytes(finished.resolve("model.safetensors")),
        Files.readAllBytes(run.resolve("model.safetensors")));
  }

  @Test
  void lastAndBestAreKept() throws IOException {
    Path out = folder.resolve("out");
    // The better the model knows the text, the less it expects the part that is held out.
    Path odd = folder.resolve("odd.txt");
    Path _ = Files.writeString(odd, "to be or not to be;\n".repeat(90) + "z".repeat(200));
    String options = SIZES + "--checkpoint-every=2 --keep=2 --eval-every=2 --device=cpu --lr=0.01";
    ok(with(options.split(" "), out, odd, "--sample-every=0"));
    List<String> kept = checkpoints(out);
    double least = Double.POSITIVE_INFINITY;
    int best = 0;
    for (JsonNode line : metrics(out)) {
      if (line.get("step").asInt() > 0
          && line.has("validationLoss")
          && line.get("validationLoss").asDouble() < least) {
        least = line.get("validationLoss").asDouble();
        best = line.get("step").asInt();
      }
    }
    assertTrue(best > 0 && best < 18, "the loss fell to the end: best step " + best);
    assertEquals(List.of("step-%08d".formatted(best), "step-00000018", "step-00000020"), kept);
  }

  @Test
  void checkpoint_isReadByTheOtherCommands() throws IOException {
    Path run = copyOf(finished);
    String last = ok("eval", "--device=cpu", "--json", "--checkpoint", run.toString()).out();
    Files.delete(run.resolve("model.safetensors"));
    assertEquals(last, ok("eval", "--device=cpu", "--json", "--checkpoint", run.toString()).out());
    String five =
        ok("eval", "--device=cpu", "--json", "--checkpoint", checkpoint(run, 5).toString()).out();
    assertNotEquals(last, five);
    String text =
        ok(
                "generate",
                "--device=cpu",
                "--max-tokens=9",
                "--checkpoint",
                checkpoint(run, 5).toString())
            .out();
    assertTrue(text.strip().length() > 0, text);
  }

  @Test
  void resume_saysWhatItCannotDo() throws IOException {
    String run = finished.toString();
    assertRefused(Cli.run("train", "--resume", run), "nothing left to do", "all 20 steps");
    assertRefused(
        Cli.run("train", "--resume", run, "--lr", "1"), "--lr: not with --resume", "left out");
    assertRefused(Cli.run("train", "--resume", run, "--seed", "1"), "--seed: not with --resume");
    assertRefused(Cli.run("train", "--skip-damaged"), "--skip-damaged", "--resume");
    assertRefused(Cli.run("train", "--resume", folder + "/none"), "does not exist");

    Path none = folder.resolve("none");
    ok(train(SIZES + "--steps=1 --checkpoint-every=0 --eval-every=0 --sample-every=0", none));
    assertFalse(Files.exists(none.resolve("checkpoints")));
    assertRefused(Cli.run("train", "--resume", none.toString()), "no checkpoint in " + none);

    Path stopped = copyOf(finished);
    delete(checkpoint(stopped, 20));
    Path other = Files.writeString(folder.resolve("other.txt"), "quite another text");
    assertRefused(
        Cli.run("train", "--resume", stopped.toString(), "--data", other.toString()),
        "the text is another one",
        "SHA-256");
    Path moved = Files.copy(text, folder.resolve("moved.txt"));
    ok("train", "--resume", stopped.toString(), "--data", moved.toString());
    assertSameRun(finished, stopped, 20);
  }

  @Test
  void newRunInTheSameFolder_takesNoCheckpointOfTheOneBefore() throws IOException {
    Path out = copyOf(finished);
    ok(train(SIZES + "--steps=3 --eval-every=0 --sample-every=0", out));
    assertEquals(List.of("step-00000003"), checkpoints(out));
  }
}
