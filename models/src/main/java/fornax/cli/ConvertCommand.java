package fornax.cli;

import fornax.data.BpeTokenizer;
import fornax.data.Gpt2Tokenizer;
import fornax.data.HuggingFaceTokenizers;
import fornax.data.Tokenizer;
import fornax.io.SafeTensors;
import fornax.models.gpt.GptConfig;
import fornax.models.gpt.HuggingFaceFolder;
import fornax.train.RunConfig;
import fornax.train.RunFolder;
import fornax.train.StoredWeights;
import fornax.train.TrainOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "convert",
    description = {
      "Turns a Hugging Face GPT-2 folder into one that generate and eval take, or a trained run"
          + " into a folder that Hugging Face loads. Weights keep their bits; no device is needed.",
      "",
      "A Hugging Face folder has config.json, model.safetensors (or its parts and"
          + " model.safetensors.index.json), and vocab.json with merges.txt, or tokenizer.json."
    },
    footer = {
      "",
      "Examples:",
      "  fornax convert --from hf gpt2 --to runs/gpt2",
      "  fornax convert --from runs/DIR --to hf my-gpt2",
      "  fornax convert --from runs/ADAPTERS --to runs/merged"
    })
final class ConvertCommand extends Command {
  private static final String HUGGING_FACE = "hf";
  private static final String IMPORTED = "imported";

  private final Output output;

  @Option(
      names = "--from",
      paramLabel = "[hf] DIR",
      arity = "1..2",
      required = true,
      order = 1,
      hideParamSyntax = true,
      description = "The folder to read: of a run, or with hf before it, Hugging Face's.")
  @Nullable List<String> from;

  @Option(
      names = "--to",
      paramLabel = "[hf] DIR",
      arity = "1..2",
      required = true,
      order = 2,
      hideParamSyntax = true,
      description = "The folder to write, new or empty: of a run, or Hugging Face's.")
  @Nullable List<String> to;

  ConvertCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    Path source = folder("--from", required(from));
    Path target = folder("--to", required(to));
    boolean importing = isHuggingFace(required(from));
    boolean merging = !importing && !isHuggingFace(required(to)) && hasAdapters(source);
    if (!merging && importing == isHuggingFace(required(to))) {
      throw new UserException(
          "convert: "
              + (importing ? "both are Hugging Face's" : "neither is Hugging Face's")
              + "; need hf before one of the folders: --from hf DIR --to DIR, or --from DIR --to hf"
              + " DIR; a run with adapters needs none: they are merged into its weights");
    }
    try {
      if (merging) {
        mergeTo(source, target);
      } else if (importing) {
        importFrom(source, target);
      } else {
        exportTo(source, target);
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    return ExitCode.OK;
  }

  private static boolean isHuggingFace(List<String> value) {
    return value.size() == 2;
  }

  private static Path folder(String option, List<String> value) {
    if (value.size() > 2 || value.size() == 2 && !value.getFirst().equals(HUGGING_FACE)) {
      throw new UserException(
          option + ": got " + String.join(" ", value) + "; need DIR, or hf DIR");
    }
    return Path.of(value.getLast());
  }

  private void importFrom(Path source, Path target) throws IOException {
    try (var folder = HuggingFaceFolder.open(source)) {
      GptConfig config = folder.config();
      Tokenizer tokenizer = HuggingFaceTokenizers.read(source);
      if (tokenizer != null) {
        requireSize(tokenizer, config, source);
      }
      requireNew("--to", target);
      RunFolder run = RunFolder.at(target);
      if (tokenizer != null) {
        tokenizer.save(run.tokenizer());
      }
      SafeTensors.write(run.model(), folder.floatTensors(), Map.of("format", "pt"));
      run.writeConfig(imported(config, source));
      report(config, target);
      if (tokenizer == null) {
        output
            .err()
            .println(
                "no tokenizer in "
                    + source
                    + ": generate and eval need one; add vocab.json and merges.txt, or"
                    + " tokenizer.json, and convert again");
      }
    }
  }

  /// @throws UserException if the tokenizer is not the model's
  static void requireSize(Tokenizer tokenizer, GptConfig config, Path source) {
    if (tokenizer.vocabularySize() != config.vocabulary()) {
      throw new UserException(
          "tokenizer: of another size; got "
              + tokenizer.vocabularySize()
              + " tokens in "
              + source
              + "; need "
              + config.vocabulary()
              + ", the vocab_size of its config.json");
    }
  }

  /// The config of a model that was trained elsewhere.
  static RunConfig imported(GptConfig config, Path source) {
    return new RunConfig(
        IMPORTED, config, List.of(), RunConfig.sha256(""), training(), source.toString());
  }

  /// What config.json must say of training, though there was none here: one step of the usual kind.
  private static TrainOptions training() {
    return TrainOptions.builder(
            1, 8, new TrainOptions.OptimizerOptions(3e-4, 3e-5, 0, 0.9, 0.95, 0.1, 1))
        .build();
  }

  private void exportTo(Path source, Path target) throws IOException {
    try (var weights = StoredWeights.open(source)) {
      RunFolder run = RunFolder.open(weights.path());
      GptConfig config = weights.config();
      Tokenizer tokenizer =
          Files.isRegularFile(run.tokenizer()) ? Tokenizer.load(run.tokenizer()) : null;
      requireNew("--to", target);
      HuggingFaceFolder.write(target, config, weights.tensors(), endOfText(tokenizer));
      if (tokenizer != null) {
        HuggingFaceTokenizers.write(tokenizer, config.context(), target);
      }
      report(config, target);
    }
  }

  /// Writes a run whose weights have the adapters of `source` in them.
  private void mergeTo(Path source, Path target) throws IOException {
    try (var weights = StoredWeights.open(source)) {
      RunFolder from = RunFolder.open(weights.path());
      requireNew("--to", target);
      RunFolder run = RunFolder.at(target);
      Tokenizer.load(from.tokenizer()).save(run.tokenizer());
      SafeTensors.write(run.model(), weights.tensors(), Map.of("format", "pt"));
      run.writeConfig(from.readConfig(RunConfig.class).withoutLora());
      report(weights.config(), target);
    }
  }

  private static boolean hasAdapters(Path source) throws IOException {
    return !HuggingFaceFolder.isOne(source)
        && RunFolder.open(source).readConfig(RunConfig.class).lora() != null;
  }

  private static int endOfText(@Nullable Tokenizer tokenizer) {
    return switch (tokenizer) {
      case BpeTokenizer bpe -> bpe.special().getOrDefault("<|endoftext|>", -1);
      case Gpt2Tokenizer _ -> Gpt2Tokenizer.END_OF_TEXT;
      case null, default -> -1;
    };
  }

  static void requireNew(String option, Path target) throws IOException {
    if (Files.isDirectory(target)) {
      try (var files = Files.newDirectoryStream(target)) {
        if (!files.iterator().hasNext()) {
          return;
        }
      }
    }
    if (Files.exists(target)) {
      throw new UserException(option + ": " + target + " exists; need a new or empty folder");
    }
  }

  private void report(GptConfig config, Path target) {
    output
        .out()
        .printf(
            Locale.ROOT,
            "%,d parameters, %d layers of width %d, to %s%n",
            config.parameterCount(),
            config.layers(),
            config.width(),
            target);
  }
}
