package fornax.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What cannot be done costs one line that says why, exit code 2, and leaves no file.
class BadInputTest {
  private static final List<String> TINY =
      List.of("--device", "reference", "--layers", "1", "--width", "8", "--heads", "2");

  @TempDir static Path shared;
  private static Path good;

  @TempDir Path folder;
  private Path out;

  @BeforeAll
  static void trainOnce() throws IOException {
    Path text = Files.writeString(shared.resolve("text.txt"), "to be or not to be, ".repeat(40));
    good = shared.resolve("run");
    Cli.Result result =
        train(good, "--data", text.toString(), "--context", "8", "--steps", "2", "--batch", "2");
    assertEquals(ExitCode.OK, result.code(), result.err());
  }

  @BeforeEach
  void chooseOut() {
    out = folder.resolve("out");
  }

  private static Cli.Result train(Path out, String... more) {
    List<String> args = new ArrayList<>(List.of("train", "--out", out.toString()));
    args.addAll(TINY);
    args.addAll(List.of(more));
    return Cli.run(args.toArray(String[]::new));
  }

  /// One line that holds all of `parts`, nothing on standard output, exit code 2.
  private static void assertRefused(Cli.Result result, String... parts) {
    List<String> lines = new ArrayList<>(result.errLines());
    lines.removeIf(line -> line.startsWith("device: "));
    assertEquals(1, lines.size(), result.err());
    String line = lines.getFirst();
    assertTrue(line.startsWith("fornax: "), line);
    for (String part : parts) {
      assertTrue(line.contains(part), line + " lacks " + part);
    }
    assertEquals("", result.out());
    assertEquals(ExitCode.BAD_INPUT, result.code());
  }

  private void assertTrainRefuses(String[] args, String... parts) {
    assertRefused(train(out, args), parts);
    assertFalse(Files.exists(out), "a folder was made");
  }

  private String write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text).toString();
  }

  // ---- train: options

  @ParameterizedTest
  @CsvSource({
    "--steps, -5, at least 1",
    "--steps, 0, at least 1",
    "--steps, ten, at least 1",
    "--steps, 99999999999, at most 2147483647",
    "--batch, -1, at least 1",
    "--context, 0, at least 1",
    "--layers, -2, at least 1",
    "--heads, 0, at least 1",
    "--width, -128, at least 1",
    "--accumulate, 0, at least 1",
    "--eval-batches, 0, at least 1",
    "--eval-every, -1, at least 0",
    "--sample-every, -1, at least 0",
    "--warmup, -1, at least 0",
    "--precision, f8, 'need f32, tf32, bf16 or f16'",
    "--matmul, native, 'need auto, java or onednn'",
    "--schedule, sine, 'need cosine, linear, wsd or constant'",
    "--label-smoothing, 1, below 1",
    "--checkpoint-every, -1, at least 0",
    "--keep, 0, at least 1",
    "--threads, 0, from 1 to 1024",
    "--threads, 5000, from 1 to 1024",
    "--seed, -1, at least 0",
    "--lr, -0.1, above 0",
    "--lr, 0, above 0",
    "--lr, NaN, above 0",
    "--min-lr, -1, at least 0",
    "--weight-decay, -1, at least 0",
    "--clip, -1, at least 0",
    "--beta1, 1, below 1",
    "--beta2, -0.5, below 1",
    "--dropout, 1.5, below 1",
    "--dropout, -0.1, below 1",
  })
  void train_rejectsNumber(String option, String value, String need) {
    assertTrainRefuses(new String[] {option, value}, option, "got " + value, need);
    assertTrainRefuses(new String[] {option + "=" + value}, option, "got " + value, need);
  }

  @Test
  void train_rejectsWidthNotDivisibleByHeads() {
    assertTrainRefuses(
        new String[] {"--width", "100", "--heads", "3"}, "width 100", "heads 3", "99 or 102");
  }

  @Test
  void train_rejectsTf32OnTheCpu() {
    assertTrainRefuses(
        new String[] {"--device", "cpu", "--precision", "tf32"}, "no TF32", "got cpu", "CUDA");
  }

  @Test
  void train_rejectsMinRateAboveRate() {
    assertTrainRefuses(new String[] {"--lr", "0.001", "--min-lr", "0.1"}, "got 0.1", "0 to 0.001");
  }

  @Test
  void train_rejectsWarmupLongerThanTraining() {
    assertTrainRefuses(
        new String[] {"--steps", "10", "--warmup", "11"}, "got 11", "10 steps", "at most 10");
  }

  @Test
  void train_rejectsBatchBeyondIndices() {
    assertTrainRefuses(
        new String[] {"--batch", "2000000000"}, "--batch 2000000000", "at most 33554431");
  }

  @Test
  void train_rejectsModelBeyondMemory() {
    assertTrainRefuses(
        new String[] {"--width", "8000000", "--heads", "1"}, "memory: ", "need at most", "--width");
  }

  @ParameterizedTest
  @CsvSource({
    "--preset, gpt5, nano",
    "--device, tpu, auto",
    "--device, cpu:99, ",
    "--device, reference:1, reference",
    "--tokenizer, bert, gpt2",
    "--data, tolstoy, dickens",
  })
  void train_rejectsUnknownName(String option, String value, String need) {
    assertTrainRefuses(new String[] {option, value}, value, need == null ? "need" : need);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--stesp", "--bogus"})
  void train_rejectsUnknownOption(String option) {
    assertTrainRefuses(new String[] {option, "3"}, "unknown option " + option);
    assertTrainRefuses(
        new String[] {"--data", "dickens", option, "3"},
        "unknown option " + option,
        "--data=" + option);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--steps", "--data", "--out", "--preset"})
  void train_rejectsMissingValue(String option) {
    assertTrainRefuses(new String[] {option}, option);
  }

  @Test
  void train_takesTheLastOfAnOptionGivenTwice() {
    assertTrainRefuses(new String[] {"--steps", "3", "--steps", "-4"}, "got -4");
    assertTrainRefuses(new String[] {"--preset", "nano", "--preset", "x"}, "got x");
  }

  // ---- train: texts

  @Test
  void train_rejectsEmptyText() throws IOException {
    assertTrainRefuses(new String[] {"--data", write("empty.txt", "")}, "empty.txt is empty");
  }

  @Test
  void train_rejectsMissingText() {
    String missing = folder.resolve("missing.txt").toString();
    assertTrainRefuses(new String[] {"--data", missing}, "missing.txt", "need a UTF-8 text");
  }

  @Test
  void train_rejectsFolderAsText() {
    assertTrainRefuses(new String[] {"--data", folder.toString()}, "is a folder");
  }

  @Test
  void train_rejectsBinaryText() throws IOException {
    Path file = Files.write(folder.resolve("binary.bin"), new byte[] {'a', 0, 'b'});
    assertTrainRefuses(new String[] {"--data", file.toString()}, "binary", "offset 1");
    Path latin = Files.write(folder.resolve("latin.txt"), new byte[] {'a', (byte) 0xe9, 'b'});
    assertTrainRefuses(new String[] {"--data", latin.toString()}, "not UTF-8", "offset 1");
  }

  @Test
  void train_rejectsTooShortText() throws IOException {
    assertTrainRefuses(
        new String[] {"--data", write("short.txt", "too short"), "--context", "64"},
        "got 9 tokens",
        "need 65",
        "at least 641");
  }

  @Test
  void train_namesValueWithControlCharactersOnOneLine() {
    assertTrainRefuses(new String[] {"--preset", "na\nno"}, "na no");
  }

  // ---- train: the folder

  @Test
  void train_rejectsFolderUnderFile() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertRefused(train(file.resolve("run")), file.toString(), "--out");
    assertRefused(train(file), file.toString(), "is a file");
    assertEquals("x", Files.readString(file));
  }

  @Test
  void train_rejectsFolderThatCannotBeWritten() {
    assertRefused(train(Path.of("/proc/fornax")), "/proc/fornax", "cannot be written");
  }

  @Test
  void train_rejectsFolderOfOtherFiles() throws IOException {
    String _ = write("precious.txt", "x");
    assertRefused(train(folder), "holds other files", "precious.txt");
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of("precious.txt"), files.map(f -> f.getFileName().toString()).toList());
    }
  }

  // ---- generate and eval

  @Test
  void checkpoint_isRequired() {
    assertRefused(Cli.run("generate"), "--checkpoint");
    assertRefused(Cli.run("eval"), "--checkpoint");
  }

  private static Cli.Result generate(Path checkpoint, String... more) {
    return on("generate", checkpoint, more);
  }

  private static Cli.Result eval(Path checkpoint, String... more) {
    return on("eval", checkpoint, more);
  }

  private static Cli.Result on(String command, Path checkpoint, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(command, "--checkpoint", checkpoint.toString(), "--device", "reference"));
    args.addAll(List.of(more));
    return Cli.run(args.toArray(String[]::new));
  }

  private static void assertCheckpointRefused(Path checkpoint, String... parts) {
    assertRefused(generate(checkpoint), parts);
    assertRefused(eval(checkpoint), parts);
  }

  @Test
  void checkpoint_works() {
    Cli.Result result = eval(good, "--json");
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertTrue(
        result.out().matches("\\{\"loss\":[0-9.]+,\"perplexity\":[0-9.]+,\"tokens\":79}\\R"),
        result.out());
  }

  @Test
  void checkpoint_rejectsMissingFolder() {
    assertCheckpointRefused(folder.resolve("nowhere"), "nowhere does not exist");
  }

  @Test
  void checkpoint_rejectsFolderWithoutRun() {
    assertCheckpointRefused(folder, "no config.json");
  }

  /// A copy of the good run with one file changed.
  private Path broken(String name, byte[] contents) throws IOException {
    Path copy = Files.createDirectory(folder.resolve("copy"));
    try (Stream<Path> files = Files.list(good)) {
      for (Path file : files.toList()) {
        Files.copy(file, copy.resolve(file.getFileName()));
      }
    }
    Files.write(copy.resolve(name), contents);
    return copy;
  }

  private Path brokenText(String name, String from, String to) throws IOException {
    String text = Files.readString(good.resolve(name));
    assertTrue(text.contains(from), text);
    return broken(name, text.replace(from, to).getBytes(UTF_8));
  }

  @ParameterizedTest
  @CsvSource({
    "'\"heads\" : 2', '\"heads\" : 3', not divisible",
    "'\"heads\" : 2', '\"heads\" : 0', heads",
    "'\"heads\" : 2', '\"heads\" : \"two\"', config.json is not valid",
    "'\"heads\" : 2,', '', config.json is not valid",
    "'\"width\" : 8', '\"width\" : 16', parameters; need",
    "'\"width\" : 8', '\"width\" : 2000000000', parameters; need",
    "'\"vocabulary\" : ', '\"vocabulary\" : 1', tokens; need",
    "'fornax-run', 'other', config.json is not valid",
  })
  void checkpoint_rejectsChangedConfig(String from, String to, String part) throws IOException {
    assertCheckpointRefused(brokenText("config.json", from, to), part);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 100})
  void checkpoint_rejectsTruncatedConfig(int bytes) throws IOException {
    byte[] all = Files.readAllBytes(good.resolve("config.json"));
    assertCheckpointRefused(
        broken("config.json", Arrays.copyOf(all, bytes)), "config.json is not valid");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 7, 200, -4})
  void checkpoint_rejectsTruncatedWeights(int bytes) throws IOException {
    byte[] all = Files.readAllBytes(good.resolve("model.safetensors"));
    int length = bytes < 0 ? all.length + bytes : bytes;
    assertCheckpointRefused(
        broken("model.safetensors", Arrays.copyOf(all, length)), "model.safetensors");
  }

  @Test
  void checkpoint_rejectsCorruptWeights() throws IOException {
    byte[] all = Files.readAllBytes(good.resolve("model.safetensors"));
    all[20] ^= 0x55;
    assertCheckpointRefused(broken("model.safetensors", all), "model.safetensors");
  }

  @Test
  void checkpoint_rejectsCorruptTokenizer() throws IOException {
    assertCheckpointRefused(broken("tokenizer.json", new byte[] {'{'}), "tokenizer.json");
  }

  @Test
  void checkpoint_rejectsMissingWeights() throws IOException {
    Path copy = broken("tokenizer.json", Files.readAllBytes(good.resolve("tokenizer.json")));
    Files.delete(copy.resolve("model.safetensors"));
    assertCheckpointRefused(copy, "no file", "model.safetensors");
  }

  @Test
  void eval_rejectsContextLongerThanTheCheckpoints() {
    assertRefused(eval(good, "--context", "9"), "got 9", "at most 8");
  }

  @Test
  void eval_rejectsUnknownCharacters() throws IOException {
    assertRefused(
        eval(good, "--data", write("other.txt", "Quite another text with a Z.")),
        "unknown character");
  }

  @Test
  void eval_rejectsTooShortText() throws IOException {
    assertRefused(eval(good, "--data", write("short.txt", "to be")), "got 5 tokens", "need 9");
  }

  @Test
  void generate_rejectsUnknownCharactersInPrompt() {
    assertRefused(generate(good, "--prompt", "to Z"), "unknown character 'Z'", "position 3");
  }

  @ParameterizedTest
  @CsvSource({
    "--temperature, -1, at least 0",
    "--top-k, 0, at least 1",
    "--top-p, 0, above 0 and at most 1",
    "--top-p, 1.1, above 0 and at most 1",
    "--max-tokens, -3, at least 1",
    "--seed, x, at least 0",
  })
  void generate_rejectsNumber(String option, String value, String need) {
    assertRefused(generate(good, option, value), option, "got " + value, need);
  }
}
