package fornax.cli;

import fornax.backend.Settings.CpuMatmul;
import fornax.data.TokenizedText.Scan;
import fornax.data.Tokenizer;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Lora;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.train.CheckpointState;
import fornax.train.Checkpoints;
import fornax.train.LoraConfig;
import fornax.train.RunConfig;
import fornax.train.RunFolder;
import fornax.train.StoredWeights;
import fornax.train.TrainOptions;
import fornax.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@CommandLine.Command(
    name = "train",
    description = {
      "Trains a GPT on a text. Without options: the preset nano learns English from Dickens.",
      "",
      "The last tenth of the text is held out: the validation loss is on that. Ctrl-C stops after"
          + " the current step and saves; --resume goes on from the last checkpoint, bit for bit as"
          + " if the run had never stopped."
    },
    footer = {
      "",
      "Examples:",
      "  fornax train",
      "  fornax train --data notes.txt letters.txt --steps 500 --out runs/mine",
      "  fornax train --preset baby --device cuda",
      "  fornax train --resume runs/mine",
      "  fornax train --from runs/mine --data more.txt",
      "  fornax train --layers 2 --width 64 --heads 2 --json 2>/dev/null"
    })
final class TrainCommand extends Command {
  private static final Set<String> WITH_RESUME =
      Set.of(
          "--resume",
          "--skip-damaged",
          "--data",
          "--device",
          "--threads",
          "--matmul",
          "--json",
          "--profile",
          "--check-numerics",
          "--skip-nonfinite",
          "--memory-limit",
          "--no-cache",
          "--tensorboard",
          "--dashboard",
          "--verbose");
  private static final Set<String> NOT_WITH_FROM =
      Set.of("--preset", "--tokenizer", "--context", "--layers", "--heads", "--width");

  private final Output output;

  @Spec @Nullable CommandSpec spec;

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      order = 1,
      description =
          "Sizes and recipe: nano (0.8 million parameters), baby (10.8), gpt2 (124), gpt2-medium,"
              + " gpt2-large, gpt2-xl, gpt3-small ... gpt3-175b. Default: nano.")
  String preset = "nano";

  @Option(
      names = "--data",
      paramLabel = "NAME|FILE",
      arity = "1..*",
      order = 2,
      description = "Texts to learn from: dickens, shakespeare, or UTF-8 files. Default: dickens.")
  @Nullable List<String> data;

  @Option(
      names = "--tokenizer",
      paramLabel = "NAME|DIR",
      order = 3,
      description =
          "char (one token for each character), gpt2 (GPT-2's byte pairs), or a folder with a"
              + " tokenizer.json, as fornax tokenizer train makes it. Default: char for nano and"
              + " baby, gpt2 for the others.")
  @Nullable String tokenizer;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 4,
      description =
          "auto, or a device that fornax devices lists: cpu, cuda[:i], opencl[:i]."
              + " Default: auto; that of the run with --resume.")
  @Nullable String device;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      order = 5,
      description = "The folder to save in. Default: runs/<time>-<preset>.")
  @Nullable Path out;

  @Option(
      names = "--json",
      order = 6,
      description =
          "End with one line of JSON on standard output; everything else goes to standard error.")
  boolean json;

  @Option(
      names = "--seed",
      paramLabel = "N",
      order = 7,
      converter = Numbers.Seed.class,
      description =
          "Seed of everything random: the same seed gives the same model, on the CPU bit for bit."
              + " Default: 1337.")
  long seed = 1337;

  @Option(
      names = "--threads",
      paramLabel = "N",
      order = 8,
      converter = Numbers.Threads.class,
      description = "Threads of the CPU device. Default: one for each processor.")
  @Nullable Integer threads;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      order = 9,
      converter = PrecisionOption.class,
      description =
          "f32; tf32: products of F32 on CUDA's tensor cores; or bf16: activations and the"
              + " matrices they meet in 16 bits, sums, parameters and the optimiser in 32; f16:"
              + " likewise with a loss scale, for cards without bf16 (V100, T4). Default: f32.")
  Precision precision = Precision.F32;

  @Option(
      names = "--matmul",
      paramLabel = "NAME",
      order = 9,
      converter = MatmulOption.class,
      description = MatmulOption.DESCRIPTION)
  @Nullable CpuMatmul matmul;

  @Option(
      names = "--from",
      paramLabel = "DIR",
      order = 9,
      description =
          "Begin with the weights and the tokenizer in DIR, of a run or of a Hugging Face GPT-2, in"
              + " place of random ones; --lr is then a tenth of what it would be, --steps 500.")
  @Nullable Path from;

  @Option(
      names = "--no-cache",
      order = 9,
      description =
          "Don't keep the tokens of a text of 16 million characters and more, in"
              + " ~/.cache/fornax/tokens, for the next time.")
  boolean noCache;

  @ArgGroup(validate = false, order = 10, heading = "%nThe model (default: the preset's):%n")
  ModelOptions model = new ModelOptions();

  @ArgGroup(
      validate = false,
      order = 20,
      heading = "%nThe recipe (default: the preset's; shown for nano):%n")
  RecipeOptions recipe = new RecipeOptions();

  @ArgGroup(validate = false, order = 25, heading = "%nWith --from (docs/finetuning.md):%n")
  FineTuneOptions tuning = new FineTuneOptions();

  @ArgGroup(validate = false, order = 35, heading = "%nCheckpoints:%n")
  CheckpointOptions checkpoints = new CheckpointOptions();

  @ArgGroup(validate = false, order = 30, heading = "%nReports:%n")
  ReportOptions reports = new ReportOptions();

  @ArgGroup(validate = false, order = 40, heading = "%nWhen something goes wrong:%n")
  SafetyOptions safety = new SafetyOptions();

  TrainCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    if (checkpoints.resume != null) {
      return goOn(checkpoints.resume);
    }
    if (checkpoints.skipDamaged) {
      throw new UserException("--skip-damaged: got no --resume; need the run to go on with");
    }
    return begin();
  }

  private int begin() throws IOException {
    Checkpoint start = from == null ? null : start(from);
    Lora.Options lora = tuning.lora(from);
    Recipe defaults =
        start == null ? recipe() : Recipe.goingOn(start.config().model(), lora != null);
    GptConfig sizes = model.sizes(defaults.sizes());
    TrainOptions options = options(defaults);
    requireIndexable(options.batch(), sizes.context());
    if (tuning.instructions != null) {
      Material pairs =
          Material.ofInstructions(
              tuning.instructions, trained(start).tokenizer(), sizes.context(), output.err());
      return begin(start, sizes, options, pairs);
    }
    List<String> sources = data == null ? List.of("dickens") : data;
    Function<Scan, Tokenizer> choice =
        start == null
            ? TrainingText.tokenizer(or(tokenizer, defaults.tokenizer()))
            : Material.known(start.tokenizer(), output.err());
    try (var text = TrainingText.read(sources, choice, !noCache, output)) {
      return begin(start, sizes, options, Material.of(text, sources, sizes.context()));
    }
  }

  private Checkpoint trained(@Nullable Checkpoint start) {
    if (start == null) {
      throw new UserException(
          "--instructions: got no --from; need a trained model that learns them");
    }
    if (data != null) {
      throw new UserException("--instructions: not with --data; need one of them");
    }
    return start;
  }

  private int begin(
      @Nullable Checkpoint start, GptConfig sizes, TrainOptions options, Material material)
      throws IOException {
    Tokenizer tokens = material.tokenizer();
    GptConfig config = sizes.withVocabulary(tokens.vocabularySize());
    String name = start == null ? preset : start.config().preset();
    String on = or(device, "auto");
    try (var opened = OpenDevice.open(on, threads, matmul, reports.profile, output.err())) {
      safety.apply(opened.backend());
      requireMemory(opened, config, tuning.rank != null);
      Weights weights =
          start == null
              ? Weights.on(opened.backend(), seed)
              : Weights.zeros(opened.backend(), seed);
      try (var gpt = new Gpt(config, weights)) {
        LoraConfig lora = start == null ? null : load(start, gpt);
        try (var trainer = new Trainer(gpt, material.data(), options)) {
          safety.apply(trainer);
          RunFolder folder =
              out == null ? RunFolder.create(Path.of("runs"), name) : RunFolder.at(out);
          try (var _ = folder.lock()) {
            // An earlier run's weights must not be taken for those of this config.
            boolean _ = Files.deleteIfExists(folder.model());
            boolean _ = Files.deleteIfExists(folder.adapter());
            folder.checkpoints().clear();
            var all =
                new RunConfig(
                    name,
                    config,
                    material.sources(),
                    material.sha256(),
                    options,
                    opened.id(),
                    opened.matmul(options.precision()),
                    material.instructions(),
                    lora == null ? List.of() : List.of(lora));
            folder.writeConfig(all);
            tokens.save(folder.tokenizer());
            var run = new TrainingRun(opened, gpt, tokens, material.data(), all, folder);
            return run.run(trainer, null, reports, output, json);
          }
        }
      }
    }
  }

  /// Gives `gpt` the weights of `start`, and adapters where they were asked for.
  private @Nullable LoraConfig load(Checkpoint start, Gpt gpt) throws IOException {
    output.err().println("from: " + start.path());
    Lora.Options lora = tuning.lora(from);
    if (lora == null) {
      start.load(gpt, output);
      return null;
    }
    try (var base = StoredWeights.open(start.path());
        var meter = Checkpoint.loading(gpt, output)) {
      base.load(gpt, meter::show);
      // Other numbers than the ones that the weights began with.
      Lora.apply(gpt, lora, Weights.on(gpt.backend(), ~seed), gpt.generator());
      return new LoraConfig(
          lora.rank(),
          lora.alpha(),
          lora.dropout(),
          start.path().toAbsolutePath().normalize().toString(),
          base.sha256());
    }
  }

  private void requireMemory(OpenDevice opened, GptConfig config, boolean adapters) {
    if (adapters) {
      opened.requireMemoryToRun(config, precision);
    } else {
      opened.requireMemoryToTrain(config, precision);
    }
  }

  private int goOn(Path path) throws IOException {
    requireNoneBesideResume();
    RunFolder folder = RunFolder.open(path);
    try (var _ = folder.lock()) {
      return goOn(folder);
    }
  }

  private int goOn(RunFolder folder) throws IOException {
    Path newest = folder.checkpoints().newest(checkpoints.skipDamaged);
    if (newest == null) {
      throw new UserException(
          "--resume: no checkpoint in "
              + folder
              + "; need one; was it stopped before the first, or trained with --checkpoint-every"
              + " 0?");
    }
    Checkpoint from = Checkpoint.read(newest);
    CheckpointState state = Checkpoints.state(newest);
    RunConfig config = from.config();
    TrainOptions options = config.training();
    int done = state.training().step();
    if (done >= options.steps()) {
      throw new UserException(
          "--resume: nothing left to do; got "
              + folder
              + ", which has taken all "
              + done
              + " steps; --from "
              + folder
              + " trains its weights further");
    }
    List<String> sources = data == null ? config.data() : data;
    if (config.instructions()) {
      Material pairs =
          Material.ofInstructions(
              Path.of(sources.getFirst()),
              from.tokenizer(),
              config.model().context(),
              output.err());
      requireSameText(pairs.sha256(), config, sources, newest);
      return goOn(folder, newest, from, state, pairs);
    }
    Function<Scan, Tokenizer> ofThatText =
        scan -> {
          requireSameText(scan.sha256(), config, sources, newest);
          return Material.known(from.tokenizer(), output.err()).apply(scan);
        };
    try (var text = TrainingText.read(sources, ofThatText, !noCache, output)) {
      Material material = Material.of(text, sources, config.model().context());
      return goOn(folder, newest, from, state, material);
    }
  }

  private static void requireSameText(
      String sha256, RunConfig config, List<String> sources, Path checkpoint) {
    if (!sha256.equals(config.textSha256())) {
      throw new UserException(
          "--resume: the text is another one; got "
              + sources
              + " with another SHA-256 than "
              + checkpoint
              + " was trained on; need that text; --data tells where it is now");
    }
  }

  private int goOn(
      RunFolder folder, Path newest, Checkpoint from, CheckpointState state, Material material)
      throws IOException {
    RunConfig config = from.config();
    TrainOptions options = config.training();
    String on = or(device, config.device().split(",", 2)[0]);
    CpuMatmul products = matmul != null ? matmul : MatmulOption.ofRun(config.matmul());
    try (var opened = OpenDevice.open(on, threads, products, reports.profile, output.err())) {
      safety.apply(opened.backend());
      requireMemory(opened, config.model(), config.lora() != null);
      noteMatmul(config.matmul(), opened.matmul(options.precision()));
      try (var gpt = new Gpt(config.model(), Weights.zeros(opened.backend(), options.seed()))) {
        from.loadToTrain(gpt, output);
        try (var trainer = new Trainer(gpt, material.data(), options)) {
          safety.apply(trainer);
          trainer.resume(state.training(), Checkpoints.optimizer(newest));
          boolean _ = Files.deleteIfExists(folder.model()); // is there again at the end
          boolean _ = Files.deleteIfExists(folder.adapter()); // likewise
          output
              .err()
              .printf(
                  "resumed: %s, step %d of %d%n", newest, state.training().step(), options.steps());
          if (!state.version().equals(FornaxCommand.version())) {
            output
                .err()
                .printf(
                    "note: %s wrote the checkpoint; %s goes on with it, maybe with other last"
                        + " bits%n",
                    state.version(), FornaxCommand.version());
          }
          var run = new TrainingRun(opened, gpt, from.tokenizer(), material.data(), config, folder);
          return run.run(trainer, state, reports, output, json);
        }
      }
    }
  }

  private void noteMatmul(String before, String now) {
    if (!before.isEmpty() && !now.isEmpty() && !before.equals(now)) {
      output
          .err()
          .printf(
              "note: the run's bf16 products were by %s; they are by %s from now on, with other"
                  + " last bits; --matmul %s goes on as before%n",
              before, now, before);
    }
  }

  /// The run's own config says the rest.
  private void requireNoneBesideResume() {
    for (var option : required(spec).commandLine().getParseResult().matchedOptions()) {
      if (!WITH_RESUME.contains(option.longestName())) {
        throw new UserException(
            option.longestName()
                + ": not with --resume; the run goes on by its own config; need it left out");
      }
    }
  }

  private Checkpoint start(Path path) throws IOException {
    for (var option : required(spec).commandLine().getParseResult().matchedOptions()) {
      if (NOT_WITH_FROM.contains(option.longestName())) {
        throw new UserException(
            option.longestName()
                + ": not with --from; sizes and tokenizer are those of the weights; need it left"
                + " out");
      }
    }
    return Checkpoint.open(path);
  }

  private Recipe recipe() {
    try {
      return Recipe.of(preset);
    } catch (IllegalArgumentException e) {
      throw new UserException("--" + e.getMessage(), e);
    }
  }

  private TrainOptions options(Recipe defaults) {
    try {
      TrainOptions.Builder options = recipe.options(defaults).seed(seed).precision(precision);
      int steps = or(recipe.steps, defaults.steps());
      return options
          .reports(reports.reports(steps))
          .checkpointing(checkpoints.checkpointing(steps))
          .build();
    } catch (IllegalArgumentException e) {
      throw new UserException(String.valueOf(e.getMessage()), e);
    }
  }

  static void requireIndexable(int batch, int context) {
    if ((long) batch * context > Integer.MAX_VALUE) {
      throw new UserException(
          "batch: too large; got --batch "
              + batch
              + " at context "
              + context
              + "; need at most "
              + Integer.MAX_VALUE / context
              + "; --accumulate makes larger steps");
    }
  }
}
