package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.data.Tokenizer;
import fornax.io.SafeTensors;
import fornax.models.TinyGpt2;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Weights and tokenizers to Hugging Face's files and back.
class ConvertCommandTest {
  @TempDir Path temporary;
  private Path published;

  @BeforeEach
  void publish() throws IOException {
    published = Files.createDirectory(temporary.resolve("published"));
  }

  @CanIgnoreReturnValue
  private static Cli.Result ok(String... args) {
    Cli.Result result = Cli.run(args);
    assertEquals(0, result.code(), result.err());
    return result;
  }

  private Path path(String name) {
    return temporary.resolve(name);
  }

  private static void assertSameTensors(Path expected, Path actual) throws IOException {
    try (var a = SafeTensors.open(expected);
        var b = SafeTensors.open(actual)) {
      assertEquals(Set.copyOf(a.names()), Set.copyOf(b.names()));
      for (String name : a.names()) {
        assertEquals(a.entry(name).toString(), b.entry(name).toString());
        assertEquals(-1, a.entry(name).bytes().mismatch(b.entry(name).bytes()), name);
      }
    }
  }

  private void roundTrip(String first, String run, String back) throws IOException {
    ok("convert", "--from", "hf", path(first).toString(), "--to", path(run).toString());
    ok("convert", "--from", path(run).toString(), "--to", "hf", path(back).toString());
    assertSameTensors(truth(), path(back).resolve("model.safetensors"));
  }

  private Path truth() throws IOException {
    Path folder = Files.createDirectories(path("truth"));
    TinyGpt2.write(folder);
    return folder.resolve("model.safetensors");
  }

  @Test
  void roundTrip_keepsEveryBit() throws IOException {
    TinyGpt2.write(published);
    TinyGpt2.writeTokenizer(published);
    roundTrip("published", "run", "back");
    for (String file : List.of("vocab.json", "merges.txt")) {
      assertEquals(
          Files.readString(published.resolve(file)), Files.readString(path("back").resolve(file)));
    }
    // What was exported is imported again, now with its tokenizer.json.
    roundTrip("back", "run2", "back2");
    for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
      assertEquals(
          -1, Files.mismatch(path("back").resolve(file), path("back2").resolve(file)), file);
    }
  }

  @Test
  void shards() throws IOException {
    TinyGpt2.writeShards(published);
    roundTrip("published", "run", "back");
  }

  @Test
  void converted_generates() throws IOException {
    TinyGpt2.write(published);
    TinyGpt2.writeTokenizer(published);
    ok("convert", "--from", "hf", published.toString(), "--to", path("run").toString());
    String text = generate("--temperature=0");
    assertTrue(text.startsWith("this") && text.length() > 12, text);
    String stop = text.strip().substring(11); // the last two letters
    int end = text.indexOf(stop);
    assertTrue(end > 4, text);
    assertEquals(text.substring(0, end) + "\n", generate("--temperature=0", "--stop=" + stop));
    String several = generate("--samples=3", "--seed=5", "--repetition-penalty=1.2", "--top-k=9");
    int second = several.indexOf("\n--- seed 6\nthis");
    assertTrue(second > 0 && several.indexOf("\n--- seed 7\nthis") > second, several);
    assertEquals(
        several, generate("--samples=3", "--seed=5", "--repetition-penalty=1.2", "--top-k=9"));
  }

  private String generate(String... options) {
    List<String> args = new ArrayList<>();
    args.addAll(List.of("generate", "--checkpoint", path("run").toString(), "--prompt=this"));
    args.addAll(List.of("--max-tokens=9", "--device=cpu"));
    args.addAll(List.of(options));
    return ok(args.toArray(new String[0])).out();
  }

  @Test
  void withoutTokenizer_warns() throws IOException {
    TinyGpt2.write(published);
    Cli.Result result =
        ok("convert", "--from", "hf", published.toString(), "--to", path("run").toString());
    assertTrue(result.err().contains("no tokenizer in"), result.err());
    assertFalse(Files.exists(path("run").resolve("tokenizer.json")));
  }

  @Test
  void charactersOfATrainedRun() throws IOException {
    Path text = Files.writeString(path("text.txt"), "the cat sat; \n\u00e9\ud83d\ude42".repeat(40));
    ok(
        "train",
        "--data",
        text.toString(),
        "--out",
        path("run").toString(),
        "--layers=1",
        "--width=16",
        "--heads=2",
        "--context=8",
        "--steps=2",
        "--device=cpu");
    ok("convert", "--from", path("run").toString(), "--to", "hf", path("hf").toString());
    ok("convert", "--from", "hf", path("hf").toString(), "--to", path("run2").toString());
    assertSameTensors(
        path("run").resolve("model.safetensors"), path("run2").resolve("model.safetensors"));
    assertEquals(
        Tokenizer.load(path("run").resolve("tokenizer.json")).description(),
        Tokenizer.load(path("run2").resolve("tokenizer.json")).description());
  }

  @Test
  void faults_areNamed() throws IOException {
    TinyGpt2.write(published);
    String run = path("run").toString();
    assertFault("neither is Hugging Face's", "--from", published.toString(), "--to", run);
    assertFault("--from: got gguf", "--from", "gguf", published.toString(), "--to", "hf", run);
    assertFault(
        "exists; need a new or empty folder",
        "--from",
        "hf",
        published.toString(),
        "--to",
        published.toString());
    TinyGpt2.writeTokenizer(published);
    Files.delete(published.resolve("merges.txt"));
    assertFault("has vocab.json alone", "--from", "hf", published.toString(), "--to", run);
    assertFalse(Files.exists(path("run")));
  }

  private static void assertFault(String message, String... options) {
    String[] args = new String[options.length + 1];
    args[0] = "convert";
    System.arraycopy(options, 0, args, 1, options.length);
    Cli.Result result = Cli.run(args);
    assertEquals(2, result.code());
    assertTrue(result.err().contains(message), result.err());
    assertEquals(1, result.errLines().size());
  }
}
