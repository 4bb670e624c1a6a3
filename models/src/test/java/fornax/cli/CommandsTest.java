package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.io.FileDType;
import fornax.io.SafeTensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// From a text to a model and what it writes, inside the test.
class CommandsTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int CHARACTERS = 1000;
  private static final int CONTEXT = 16;

  @TempDir static Path folder;
  private static Path text;
  private static Path run;
  private static JsonNode summary;

  @BeforeAll
  static void trainOnce() throws IOException {
    text =
        write("text.txt", "the cat sat on the mat;\n".repeat(CHARACTERS).substring(0, CHARACTERS));
    run = folder.resolve("run");
    summary = train(text, run);
  }

  private static Path write(String name, String contents) throws IOException {
    return Files.writeString(folder.resolve(name), contents);
  }

  private static JsonNode train(Path data, Path out) throws IOException {
    Cli.Result result =
        ok(
            "train",
            "--data",
            data.toString(),
            "--out",
            out.toString(),
            "--layers=1",
            "--width=32",
            "--heads=2",
            "--context=" + CONTEXT,
            "--steps=200",
            "--batch=4",
            "--lr=0.01",
            "--json");
    return JSON.readTree(result.out());
  }

  private static Cli.Result ok(String... args) {
    List<String> all = new ArrayList<>(List.of(args));
    all.addAll(List.of("--device", "cpu"));
    Cli.Result result = Cli.run(all.toArray(String[]::new));
    assertEquals(ExitCode.OK, result.code(), result.err());
    return result;
  }

  private static String generate(Path from, String... more) {
    List<String> args = new ArrayList<>(List.of("generate", "--checkpoint", from.toString()));
    args.addAll(List.of(more));
    return ok(args.toArray(String[]::new)).out();
  }

  private static JsonNode eval(String... more) throws IOException {
    List<String> args = new ArrayList<>(List.of("eval", "--json", "--checkpoint", run.toString()));
    args.addAll(List.of(more));
    return JSON.readTree(ok(args.toArray(String[]::new)).out());
  }

  @Test
  void train_inBf16RecordsItAndSavesTheMasters() throws IOException {
    Path out = folder.resolve("bf16");
    Cli.Result result =
        ok(
            ("train --layers=1 --width=32 --heads=2 --context=16 --steps=2 --batch=4 --json"
                    + " --precision=bf16 --data="
                    + text
                    + " --out="
                    + out)
                .split(" "));
    assertEquals("bf16", JSON.readTree(result.out()).get("precision").asText());
    assertTrue(result.err().contains(", computing in bf16;"), result.err());
    JsonNode config = JSON.readTree(out.resolve("config.json").toFile());
    assertEquals("bf16", config.get("training").get("precision").asText());
    try (var weights = SafeTensors.open(out.resolve("model.safetensors"))) {
      for (String name : weights.names()) {
        assertEquals(FileDType.F32, weights.entry(name).dtype(), name);
      }
    }
    String full = generate(out, "--max-tokens=20", "--temperature=0");
    assertTrue(full.length() >= 20, full);
    assertTrue(generate(out, "--max-tokens=20", "--precision=bf16").length() >= 20);
  }

  @Test
  void eval_inBf16IsNearAndNotTheSame() throws IOException {
    double full = eval().get("loss").asDouble();
    double low = eval("--precision", "bf16").get("loss").asDouble();
    assertEquals(full, low, 2e-2);
    assertNotEquals(full, low);
  }

  @Test
  void eval_readsRunsFromBeforeThereWasAPrecision() throws IOException {
    Path old = folder.resolve("old");
    for (String file : List.of("config.json", "tokenizer.json", "model.safetensors")) {
      Files.createDirectories(old);
      var _ = Files.copy(run.resolve(file), old.resolve(file));
    }
    String config = Files.readString(old.resolve("config.json"));
    String without = config.replaceAll(",\\s*\"precision\" : \"f32\"", "");
    assertNotEquals(config, without);
    var _ = Files.writeString(old.resolve("config.json"), without);
    double loss =
        JSON.readTree(ok("eval", "--json", "--checkpoint", old.toString()).out())
            .get("loss")
            .asDouble();
    assertEquals(eval().get("loss").asDouble(), loss);
  }

  @Test
  void train_sumsUp() {
    assertEquals(200, summary.get("steps").asInt());
    assertEquals(1337, summary.get("seed").asInt());
    assertEquals("cpu", summary.get("device").asText());
    assertEquals(run.toString(), summary.get("out").asText());
    assertTrue(summary.get("trainLoss").asDouble() < 1, summary.toString());
    assertTrue(summary.get("validationLoss").asDouble() < 1, summary.toString());
    assertTrue(summary.get("tokensPerSecond").asDouble() > 0, summary.toString());
    // 12 characters; GPT-2's sizes: token and position tables, one block, the last norm.
    assertEquals(
        (12 + CONTEXT) * 32 + 12 * 32 * 32 + 13 * 32 + 2 * 32, summary.get("parameters").asInt());
  }

  @Test
  void train_profilesItsKernels() {
    String table =
        ok(("train --layers=1 --width=16 --heads=2 --context=8 --steps=20 --batch=2"
                    + " --eval-every=10 --sample-every=10 --profile --out="
                    + folder.resolve("profiled")
                    + " --data="
                    + text)
                .split(" "))
            .out();
    List<String> lines = table.lines().dropWhile(line -> !line.contains("by kernel:")).toList();
    assertTrue(lines.getFirst().startsWith("18 steps of "), table); // the first tenth left out
    // Four layers; the head and what the gradients need are plain products.
    assertEquals("72", cell(lines, "linear", 1), table);
    assertEquals("18", cell(lines, "attention", 1), table);
    double kernels = Double.parseDouble(cell(lines, "in kernels", 4));
    double rest = Double.parseDouble(cell(lines, "not in kernels", 4));
    assertEquals(100, kernels + rest, 0.11, table);
    assertTrue(kernels > 0 && rest > 0, table);
    List<String> rows = lines.stream().skip(2).takeWhile(row -> !row.startsWith("in ")).toList();
    double before = Double.MAX_VALUE;
    for (String row : rows) {
      double total = Double.parseDouble(row.split(" +")[2]);
      assertTrue(total <= before, table);
      before = total;
    }
    assertNull(System.getProperty("fornax.profile"));
  }

  private static String cell(List<String> lines, String row, int column) {
    return lines.stream()
        .filter(line -> line.startsWith(row + " "))
        .findFirst()
        .orElseThrow()
        .split(" +")[column];
  }

  @Test
  void train_recordsEachStepAndEvaluation() throws IOException {
    List<String> lines = Files.readAllLines(run.resolve("metrics.jsonl"));
    int steps = 0;
    int evaluations = 0;
    for (String line : lines) {
      JsonNode entry = JSON.readTree(line);
      if (entry.has("validationLoss")) {
        evaluations++;
      } else if (!entry.has("sample")) {
        assertEquals(++steps, entry.get("step").asInt());
        assertTrue(entry.get("loss").asDouble() > 0, line);
        assertTrue(entry.get("gradientNorm").asDouble() > 0, line);
        assertTrue(entry.get("learningRate").asDouble() > 0, line);
        assertTrue(entry.get("tokensPerSecond").asDouble() > 0, line);
      }
    }
    assertEquals(200, steps);
    assertEquals(5, evaluations); // before, and after each 50 steps
  }

  @Test
  void eval_ofTheTextTrainedOnIsOfTheHeldOutPart() throws IOException {
    JsonNode held = eval();
    assertEquals(CHARACTERS / 10 - 1, held.get("tokens").asInt());
    assertEquals(summary.get("validationLoss").asDouble(), held.get("loss").asDouble());
    double perplexity = Math.exp(held.get("loss").asDouble());
    assertEquals(perplexity, held.get("perplexity").asDouble(), 1e-9);
    // Known again by its contents, whatever its name.
    Path copy = write("copy.txt", Files.readString(text));
    assertEquals(held, eval("--data", copy.toString()));
  }

  @Test
  void eval_ofAnotherTextIsOfAllOfIt() throws IOException {
    Path other = write("other.txt", "the mat sat on the cat;\n".repeat(3));
    JsonNode all = eval("--data", other.toString());
    assertEquals(3 * 24 - 1, all.get("tokens").asInt());
    assertTrue(all.get("loss").asDouble() > summary.get("validationLoss").asDouble());
    Path two = write("two.txt", "the cat sat on the mat;\n");
    JsonNode both = eval("--data", other.toString(), two.toString());
    assertEquals(4 * 24 - 1, both.get("tokens").asInt());
  }

  @Test
  void eval_takesAShorterContext() throws IOException {
    JsonNode shorter = eval("--context", "2");
    assertEquals(CHARACTERS / 10 - 1, shorter.get("tokens").asInt());
    assertTrue(shorter.get("loss").asDouble() > summary.get("validationLoss").asDouble());
  }

  @Test
  void generate_continuesThePrompt() {
    String greedy = generate(run, "--prompt", "the c", "--temperature", "0", "--max-tokens", "40");
    assertEquals("the cat sat on the mat;\nthe cat sat on the ma", greedy.stripTrailing());
    assertEquals(
        greedy,
        generate(run, "--prompt", "the c", "--top-k", "1", "--max-tokens", "40", "--seed", "9"));
  }

  @Test
  void generate_isDeterminedByItsSeed() {
    String[] hot = {"--temperature", "5", "--max-tokens", "60", "--seed"};
    String first = generate(run, hot[0], hot[1], hot[2], hot[3], hot[4], "1");
    assertEquals(first, generate(run, hot[0], hot[1], hot[2], hot[3], hot[4], "1"));
    assertNotEquals(first, generate(run, hot[0], hot[1], hot[2], hot[3], hot[4], "2"));
  }

  @Test
  void train_replacesAnEarlierRunAsAWhole() throws IOException {
    Path out = folder.resolve("again");
    JsonNode first = train(text, out);
    byte[] before = Files.readAllBytes(out.resolve("model.safetensors"));
    Path other = write("changed.txt", Files.readString(text).replace('c', 'r'));
    JsonNode changed = train(other, out);
    assertNotEquals(first.get("validationLoss"), changed.get("validationLoss"));
    String rats = generate(out, "--prompt", "the r", "--temperature", "0", "--max-tokens", "9");
    assertTrue(rats.startsWith("the rat sat on"), rats);
    JsonNode again = train(text, out);
    assertEquals(first.get("validationLoss"), again.get("validationLoss"));
    assertArrayEquals(before, Files.readAllBytes(out.resolve("model.safetensors")));
    try (var files = Files.list(out)) {
      assertEquals(
          Set.of(
              ".lock",
              "checkpoints",
              "config.json",
              "environment.json",
              "metrics.jsonl",
              "model.safetensors",
              "report.html",
              "tokenizer.json"),
          files.map(file -> String.valueOf(file.getFileName())).collect(Collectors.toSet()));
    }
  }
}
