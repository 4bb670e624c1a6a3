package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.io.SafeTensors;
import fornax.models.TinyGpt2;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Training that begins with weights that are there already, with a tokenizer of one's own, and on
/// a text that is larger than memory.
class StartingPointTest {
  @TempDir Path folder;

  @CanIgnoreReturnValue
  private static Cli.Result ok(String... args) {
    Cli.Result result = Cli.run(args);
    assertEquals(0, result.code(), result.err());
    return result;
  }

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  private String text(String line, int times) throws IOException {
    return Files.writeString(folder.resolve("text.txt"), line.repeat(times)).toString();
  }

  private void published() throws IOException {
    Path hf = Files.createDirectory(folder.resolve("hf"));
    TinyGpt2.write(hf);
    TinyGpt2.writeTokenizer(hf);
  }

  @Test
  void ownTokenizer_trainsAndGenerates() throws IOException {
    String text = text("The cat sat on the mat, and the dog on the log.\n", 200);
    ok("tokenizer", "train", "--data", text, "--vocab", "300", "--out", path("tokens"));
    Cli.Result trained =
        ok(
            "train",
            "--data",
            text,
            "--tokenizer",
            path("tokens"),
            "--layers=1",
            "--width=16",
            "--heads=2",
            "--context=8",
            "--steps=3",
            "--batch=2",
            "--sample-every=0",
            "--out",
            path("run"));
    assertTrue(trained.err().contains("bpe ("), trained.err());
    Cli.Result written = ok("generate", "--checkpoint", path("run"), "--max-tokens=5");
    assertTrue(!written.out().isBlank());
  }

  @Test
  void from_beginsWithTheWeightsOfARun() throws IOException {
    String text = text("the cat sat on the mat;\n", 60);
    ok(
        "train",
        "--data",
        text,
        "--layers=1",
        "--width=32",
        "--heads=2",
        "--context=8",
        "--steps=100",
        "--lr=0.01",
        "--sample-every=0",
        "--out",
        path("first"));
    double before = loss("first", text);
    ok(
        "train",
        "--from",
        path("first"),
        "--data",
        text,
        "--steps=1",
        "--lr=1e-9",
        "--min-lr=1e-9",
        "--sample-every=0",
        "--eval-every=0",
        "--out",
        path("second"));
    assertEquals(before, loss("second", text), 1e-5); // hardly moved
    assertTrue(before < 1.5, () -> "not trained: " + before);
    ok(
        "train",
        "--from",
        path("first"),
        "--data",
        text,
        "--steps=60",
        "--lr=0.003",
        "--sample-every=0",
        "--out",
        path("third"));
    assertTrue(loss("third", text) < before);
  }

  private double loss(String run, String text) {
    String out = ok("eval", "--checkpoint", path(run), "--data", text, "--json").out();
    return Double.parseDouble(out.replaceAll(".*\"loss\":([^,}]*).*", "$1").strip());
  }

  @Test
  void huggingFaceFolder_isAStartingPointAndACheckpoint() throws IOException {
    published();
    ok("convert", "--from", "hf", path("hf"), "--to", path("run"));
    String text = text("Hello there, world. ", 300);
    for (String[] command :
        new String[][] {
          {"generate", "--prompt", "Hello", "--temperature", "0", "--max-tokens", "12"},
          {"eval", "--data", text}
        }) {
      String[] args = Arrays.copyOf(command, command.length + 2);
      args[command.length] = "--checkpoint";
      args[command.length + 1] = path("hf");
      String direct = ok(args).out();
      args[command.length + 1] = path("run");
      assertEquals(ok(args).out(), direct);
    }
    ok(
        "train",
        "--from",
        path("hf"),
        "--data",
        text,
        "--steps=1",
        "--batch=1",
        "--lr=1e-12",
        "--min-lr=0",
        "--weight-decay=0",
        "--sample-every=0",
        "--eval-every=0",
        "--out",
        path("tuned"));
    try (var before = SafeTensors.open(folder.resolve("run/model.safetensors"));
        var after = SafeTensors.open(folder.resolve("tuned/model.safetensors"))) {
      for (String name : before.names()) {
        float[] a = before.entry(name).floats();
        float[] b = after.entry(name).floats();
        for (int i = 0; i < a.length; i++) {
          assertEquals(a[i], b[i], 1e-6f, name);
        }
      }
    }
  }

  @Test
  void from_refusesWhatTheWeightsSay() throws IOException {
    published();
    for (String option : new String[] {"--layers=2", "--tokenizer=char", "--preset=baby"}) {
      Cli.Result result = Cli.run("train", "--from", path("hf"), option);
      assertEquals(2, result.code());
      assertTrue(
          result.err().contains(option.split("=", 2)[0] + ": not with --from"), result.err());
    }
    Files.delete(folder.resolve("hf/merges.txt"));
    Files.delete(folder.resolve("hf/vocab.json"));
    Files.deleteIfExists(folder.resolve("hf/tokenizer.json"));
    Cli.Result result = Cli.run("generate", "--checkpoint", path("hf"));
    assertEquals(2, result.code());
    assertTrue(result.err().contains("checkpoint: no tokenizer in"), result.err());
  }

  @Test
  @Tag("slow")
  void textLargerThanTheHeap_isTrainedOn() throws IOException, InterruptedException {
    Path text = folder.resolve("large.txt");
    try (var out = Files.newBufferedWriter(text)) {
      for (int i = 0; i < 5_300_000; i++) {
        out.write(
            "The quick brown fox, number " + (1_000_000 + i) + ", jumps over the lazy dog.\n");
      }
    }
    assertTrue(Files.size(text) > 300_000_000L, () -> text.toFile().length() + " bytes");
    Launcher launcher = Launcher.in(Files.createDirectory(folder.resolve("program")));
    String options = "-Xmx128m -Dfornax.cache=" + folder.resolve("cache");
    for (int i = 0; i < 2; i++) { // the second time from the cache
      Cli.Result result =
          launcher.run(
              folder,
              options,
              "train",
              "--data",
              text.toString(),
              "--layers=1",
              "--width=16",
              "--heads=2",
              "--context=32",
              "--steps=20",
              "--sample-every=0",
              "--eval-every=0",
              "--out",
              path("run"));
      assertEquals(0, result.code(), result.err());
      assertTrue(result.out().contains("saved in"), result.out());
    }
  }
}
