package fornax.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.data.Texts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The program in a process of its own.
class LauncherTest {
  private static final String[] TINY = {
    "--layers", "1", "--width", "32", "--heads", "2", "--context", "32", "--batch", "4",
  };

  private static final String[] SHORT = {
    "--steps",
    "12",
    "--dropout",
    "0.1",
    "--eval-every",
    "0",
    "--sample-every",
    "0",
    "--data",
    "short.txt",
  };
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir static Path shared;
  private static Launcher launcher;

  @TempDir Path folder;

  @BeforeAll
  static void unpack() throws IOException {
    launcher = Launcher.in(shared);
  }

  private Cli.Result run(String... args) throws IOException, InterruptedException {
    return launcher.run(folder, "", args);
  }

  private static String[] train(String... more) {
    return Stream.of(new String[] {"train"}, TINY, more).flatMap(Stream::of).toArray(String[]::new);
  }

  @Test
  void devices_areListedAsJson() throws IOException, InterruptedException {
    Cli.Result result = run("devices", "--json");
    assertEquals(ExitCode.OK, result.code());
    assertEquals("", result.err());
    assertEquals(1, result.out().lines().count());
    JsonNode devices = JSON.readTree(result.out());
    boolean cpu = false;
    for (JsonNode device : devices) {
      List<String> names = device.propertyStream().map(p -> p.getKey()).toList();
      assertEquals(List.of("backend", "id", "name", "available", "reason", "fix"), names);
      cpu |= device.get("id").asText().equals("cpu") && device.get("available").asBoolean();
    }
    assertTrue(cpu, result.out());
  }

  @Test
  void error_isOneLine() throws IOException, InterruptedException {
    Cli.Result result = run("train", "--steps", "-1");
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertEquals("", result.out());
    assertEquals(1, result.errLines().size(), result.err());
    assertTrue(result.err().startsWith("fornax: "), result.err());
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(0, files.count());
    }
  }

  @Test
  void train_savesInAFolderOfItsOwn_andItCanBeReadBack() throws IOException, InterruptedException {
    Cli.Result result = run(train("--steps", "20", "--json", "--seed", "5"));
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertEquals(1, result.out().lines().count(), result.out());
    JsonNode summary = JSON.readTree(result.out());
    assertEquals(
        List.of(
            "parameters",
            "steps",
            "trainLoss",
            "validationLoss",
            "tokensPerSecond",
            "device",
            "precision",
            "seed",
            "out"),
        summary.propertyStream().map(p -> p.getKey()).toList());
    assertEquals(20, summary.get("steps").asInt());
    assertEquals(5, summary.get("seed").asInt());
    assertEquals("cpu", summary.get("device").asText());
    String out = summary.get("out").asText();
    assertTrue(out.matches("runs/\\d{8}-\\d{6}-nano"), out);
    assertTrue(result.err().contains("device: cpu"), result.err());
    assertTrue(result.err().contains(out), result.err());
    for (String name :
        List.of("config.json", "tokenizer.json", "model.safetensors", "metrics.jsonl")) {
      assertTrue(Files.size(folder.resolve(out, name)) > 0, name);
    }
    Cli.Result text = run("generate", "--checkpoint", out, "--prompt", "The ", "--max-tokens", "9");
    assertEquals(ExitCode.OK, text.code(), text.err());
    assertTrue(text.out().startsWith("The "), text.out());
    assertEquals(4 + 9, text.out().length() - System.lineSeparator().length());
  }

  private byte[] weights(String name, String jvmOptions, String... more)
      throws IOException, InterruptedException {
    String[] args =
        Stream.of(train(), new String[] {"--out", name}, SHORT, more)
            .flatMap(Stream::of)
            .toArray(String[]::new);
    Cli.Result result = launcher.run(folder, jvmOptions, args);
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertFalse(result.out().contains("sample"), result.out());
    return Files.readAllBytes(folder.resolve(name, "model.safetensors"));
  }

  @Test
  void seed_givesTheSameBytes_whateverThreadsAndCompiler()
      throws IOException, InterruptedException {
    // Short: without the optimising compiler the Vector API is slow.
    Path _ = Files.writeString(folder.resolve("short.txt"), Texts.dickens().substring(0, 4000));
    byte[] first = weights("one", "", "--threads", "1");
    assertArrayEquals(first, weights("two", "", "--threads", "2"), "2 threads");
    assertArrayEquals(first, weights("three", "", "--threads", "3"), "3 threads");
    assertArrayEquals(first, weights("again", ""), "another run");
    assertArrayEquals(first, weights("c1", "-XX:TieredStopAtLevel=1"), "another compiler");
    byte[] other = weights("other", "", "--seed", "1");
    assertFalse(Arrays.equals(first, other), "another seed");
  }

  @Test
  void interrupt_stopsAfterTheStep_andSaves() throws IOException, InterruptedException {
    Process process =
        launcher
            .command(
                folder,
                "",
                train(
                    "--steps",
                    "1000000",
                    "--eval-every",
                    "10",
                    "--eval-batches",
                    "1",
                    "--out",
                    "run",
                    "--json"))
            .start();
    StringBuilder said = new StringBuilder();
    try (var err = process.errorReader(UTF_8)) {
      boolean sent = false;
      for (String line = err.readLine(); line != null; line = err.readLine()) {
        said.append(line).append('\n');
        if (!sent && line.matches("step +20/.*")) {
          assertEquals(0, new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor());
          sent = true;
        }
      }
    }
    assertTrue(process.waitFor(60, TimeUnit.SECONDS), "still running");
    String text = said.toString();
    assertEquals(ExitCode.INTERRUPTED, process.exitValue(), text);
    assertTrue(text.contains("stopping after this step"), text);
    assertTrue(text.matches("(?s).*stopped after step \\d+ of 1000000.*saved in +run\n.*"), text);
    JsonNode summary = JSON.readTree(new String(process.getInputStream().readAllBytes(), UTF_8));
    int steps = summary.get("steps").asInt();
    assertTrue(steps >= 20 && steps < 1000000, "steps " + steps);
    Cli.Result eval = run("eval", "--checkpoint", "run", "--json");
    assertEquals(ExitCode.OK, eval.code(), eval.err());
    JsonNode evaluation = JSON.readTree(eval.out());
    assertEquals(121_497, evaluation.get("tokens").asInt());
    double loss = evaluation.get("loss").asDouble();
    assertTrue(loss > 0 && loss < 4.5, "loss " + loss);
  }
}
