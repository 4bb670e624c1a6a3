package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.io.SafeTensors;
import fornax.models.Devices;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.HuggingFaceFolder;
import fornax.nn.Weights;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import fornax.train.LoraConfig;
import fornax.train.RunConfig;
import fornax.train.RunFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A trained model goes on with other texts, with answers to prompts, and by adapters.
class FineTuneTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final String LORA =
      "--lora-rank=2 --lora-dropout=0.1 --steps=20 --batch=2 --accumulate=2 --lr=0.01"
          + " --checkpoint-every=10 --keep=9 --eval-every=0 --sample-every=0 ";

  @TempDir static Path shared;
  private static Path base; // knows lower-case letters
  private static Path text;
  private static Path adapted;

  @TempDir Path folder;

  @BeforeAll
  static void trainOnce() throws IOException {
    text = shared.resolve("text.txt");
    base = shared.resolve("base");
    adapted = shared.resolve("adapted");
    Path first = shared.resolve("first.txt");
    String alphabet = "the quick brown fox jumps over the lazy dog;\n? : ";
    Path _ = Files.writeString(first, alphabet.repeat(40));
    Path _ = Files.writeString(text, "to be or not to be that is a question;\n".repeat(50));
    ok(
        "train --layers=2 --width=16 --heads=2 --context=16 --batch=4 --steps=60 --lr=0.01"
            + " --dropout=0.1 --eval-every=0 --sample-every=0 --device=cpu",
        "--data",
        first.toString(),
        "--out",
        base.toString());
    ok(
        LORA + "train --device=cpu",
        "--from",
        base.toString(),
        "--data",
        text.toString(),
        "--out",
        adapted.toString());
  }

  @CanIgnoreReturnValue
  private static Cli.Result ok(String options, String... more) {
    Cli.Result result = run(options, more);
    assertEquals(ExitCode.OK, result.code(), result.err());
    return result;
  }

  private static Cli.Result run(String options, String... more) {
    List<String> all = new ArrayList<>(Arrays.asList(options.split(" ")));
    all.remove("train");
    if (options.contains("train")) {
      all.addFirst("train");
    }
    all.addAll(Arrays.asList(more));
    return Cli.run(all.toArray(String[]::new));
  }

  private static void assertRefused(Cli.Result result, String part) {
    assertEquals(ExitCode.BAD_INPUT, result.code(), result.err());
    assertTrue(result.err().contains(part), result.err());
  }

  private static byte[] bytes(Path file) throws IOException {
    return Files.readAllBytes(file);
  }

  private Path copy(Path run, String name) throws IOException {
    Path copy = folder.resolve(name);
    try (Stream<Path> files = Files.walk(run)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Path _ = Files.copy(file, copy.resolve(run.relativize(file)));
      }
    }
    return copy;
  }

  private static String path(Path base, String more) {
    return base.resolve(more).toString();
  }

  @Test
  void lora_savesAdaptersAlone() throws IOException {
    assertFalse(Files.exists(adapted.resolve("model.safetensors")));
    Path checkpoint = adapted.resolve("checkpoints/step-00000010");
    assertFalse(Files.exists(checkpoint.resolve("model.safetensors")));
    try (var adapter = SafeTensors.open(adapted.resolve("adapter.safetensors"));
        var moments = SafeTensors.open(checkpoint.resolve("optimizer.safetensors"))) {
      assertEquals(2 * 4 * 2, adapter.names().size());
      assertEquals(Shape.of(16, 2), adapter.entry("h.0.attn.c_attn.lora_a").shape());
      assertEquals(Shape.of(2, 48), adapter.entry("h.0.attn.c_attn.lora_b").shape());
      assertEquals(2 * adapter.names().size(), moments.names().size());
    }
    RunConfig config = RunFolder.open(adapted).readConfig(RunConfig.class);
    LoraConfig lora = Objects.requireNonNull(config.lora());
    assertEquals(base.toString(), lora.base());
    assertEquals(4, lora.alpha());
  }

  @Test
  void lora_resumesBitForBit() throws IOException {
    Path run = copy(adapted, "run");
    Files.delete(run.resolve("adapter.safetensors"));
    try (Stream<Path> files = Files.walk(run.resolve("checkpoints/step-00000020"))) {
      for (Path path : files.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(path);
      }
    }
    Cli.Result resumed = ok("train --resume", run.toString());
    assertTrue(resumed.err().contains("step 10 of 20"), resumed.err());
    assertTrue(resumed.err().contains(", and 1,024 in adapters, which learn"), resumed.err());
    for (String file :
        List.of(
            "adapter.safetensors",
            "checkpoints/step-00000020/adapter.safetensors",
            "checkpoints/step-00000020/optimizer.safetensors")) {
      assertArrayEquals(bytes(adapted.resolve(file)), bytes(run.resolve(file)), file);
    }
  }

  @Test
  void lora_isMergedWhereItIsReadAndExported() throws IOException {
    Path merged = folder.resolve("merged");
    ok("convert", "--from", adapted.toString(), "--to", merged.toString());
    ok("convert", "--from", adapted.toString(), "--to", "hf", path(folder, "hf"));
    assertFalse(Files.exists(merged.resolve("adapter.safetensors")));
    String[] greedy = {"--prompt=to", "--temperature=0", "--max-tokens=30", "--device=cpu"};
    List<String> texts = new ArrayList<>();
    for (Path run : List.of(adapted, merged, folder.resolve("hf"), base)) {
      texts.add(ok("generate --checkpoint " + run, greedy).out());
    }
    assertEquals(texts.get(0), texts.get(1));
    assertEquals(texts.get(0), texts.get(2));
    assertFalse(texts.get(0).equals(texts.get(3)), texts.get(0));
    assertUnmergedComputesTheSame(folder.resolve("hf"));
  }

  private static void assertUnmergedComputesTheSame(Path exported) throws IOException {
    try (Backend backend = Devices.open("cpu");
        var files = HuggingFaceFolder.open(exported);
        var merged = files.model(backend);
        var unmerged = new Gpt(files.config(), Weights.zeros(backend, 0))) {
      Checkpoint.open(adapted).loadToTrain(unmerged, new Output(System.out, System.err, () -> 0));
      assertEquals(16, unmerged.adapters().size());
      assertArrayEquals(logits(unmerged), logits(merged), 1e-5f);
    }
  }

  private static float[] logits(Gpt model) {
    model.eval();
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      int[] tokens = {1, 5, 9, 2, 6, 3, 7, 4};
      return model.logits(Tensors.on(model.backend()).of(tokens, Shape.of(1, 8))).toFloatArray();
    }
  }

  @Test
  void lora_needsItsBase() throws IOException {
    Path parent = Files.createDirectory(folder.resolve("both"));
    Path movedBase = copy(base, "both/base");
    Path moved = copy(adapted, "both/adapted");
    String config = Files.readString(moved.resolve("config.json"));
    String elsewhere =
        config.replace(base.toString(), parent.resolveSibling("gone/base").toString());
    Path _ = Files.writeString(moved.resolve("config.json"), elsewhere);
    ok("eval --device=cpu --checkpoint", moved.toString()); // the base lies beside it

    Path weights = movedBase.resolve("model.safetensors");
    byte[] changed = bytes(weights);
    changed[changed.length - 1] ^= 1;
    Path _ = Files.write(weights, changed);
    assertRefused(run("eval --device=cpu --checkpoint", moved.toString()), "have changed; got SHA");
    Files.delete(weights);
    Path _ = Files.move(movedBase, folder.resolve("otherName"));
    assertRefused(
        run("eval --device=cpu --checkpoint", moved.toString()), "are gone; got no folder");
  }

  @Test
  void lora_ofAdaptedModel_adaptsTheSum() throws IOException {
    Path second = folder.resolve("second");
    ok(
        LORA + "train --device=cpu --from",
        adapted.toString(),
        "--data",
        text.toString(),
        "--out",
        second.toString());
    ok("eval --device=cpu --checkpoint", second.toString());
    ok("convert", "--from", second.toString(), "--to", path(folder, "merged"));
  }

  @Test
  void unknownCharacters_becomeSpaces() throws IOException {
    Path other =
        Files.writeString(folder.resolve("other.txt"), "to be & not to be §;\n".repeat(60));
    Path out = folder.resolve("out");
    Cli.Result result =
        ok(
            LORA + "train --device=cpu --from",
            base.toString(),
            "--data",
            other.toString(),
            "--out",
            out.toString());
    assertTrue(
        result.err().contains("note: the model does not know &§; a space takes their place"),
        result.err());
    ok("eval --device=cpu --checkpoint", out.toString());
  }

  private static double validationLoss(Path run) throws IOException {
    double last = Double.NaN;
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      JsonNode json = JSON.readTree(line);
      last = json.has("validationLoss") ? json.get("validationLoss").doubleValue() : last;
    }
    return last;
  }

  @Test
  void instructions_teachAnswers() throws IOException {
    var lines = new StringBuilder();
    for (int i = 0; i < 200; i++) {
      char c = (char) ('a' + i * 7 % 26);
      lines.append("{\"prompt\": \"say " + c + ": \", \"answer\": \"" + c + c + "\"}\n");
    }
    Path pairs = Files.writeString(folder.resolve("pairs.jsonl"), lines);
    String options =
        "train --device=cpu --batch=8 --lr=0.02 --eval-every=0 --sample-every=0 --instructions ";
    Path few = folder.resolve("few");
    Path many = folder.resolve("many");
    ok(options + pairs, "--from", base.toString(), "--steps=1", "--out", few.toString());
    Cli.Result result =
        ok(options + pairs, "--from", base.toString(), "--steps=300", "--out", many.toString());
    assertTrue(result.err().contains("540 tokens to learn from, 60 held out"), result.err());
    assertTrue(
        validationLoss(many) < validationLoss(few) / 4,
        validationLoss(few) + " to " + validationLoss(many));
    assertTrue(
        ok("eval --device=cpu --checkpoint", many.toString()).out().contains("on 60 tokens"));
    String[] ask = {"--prompt=say f: ", "--temperature=0", "--max-tokens=9", "--stop=\n"};
    assertTrue(ok("generate --device=cpu --checkpoint " + many, ask).out().contains("say f: ff"));
  }

  @Test
  void options_thatDoNotGoTogetherAreRefused() throws IOException {
    assertRefused(run("train --lora-rank=2"), "--lora-rank: got no --from");
    assertRefused(
        run("train --lora-alpha=2 --from", base.toString()), "--lora-alpha: got no --lora-rank");
    assertRefused(run("train --instructions=x.jsonl"), "--instructions: got no --from");
    Path bad =
        Files.writeString(
            folder.resolve("bad.jsonl"), "{\"prompt\": \"a\", \"answer\": \"b\"}\nnone\n");
    assertRefused(
        run("train --from " + base + " --instructions " + bad), "bad.jsonl line 2: not valid");
    assertRefused(
        run("convert --from " + base + " --to " + folder.resolve("x")),
        "neither is Hugging Face's");
  }
}
