package fornax.cli;

import fornax.backend.BackendProvider;
import fornax.backend.Backends;
import fornax.backend.Owner;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.train.Flops;
import fornax.train.KnownDevice;
import fornax.train.MemoryPlan;
import fornax.train.TrainOptions;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "plan",
    description = {
      "Says what memory a training takes and what fits, without a device and without taking any.",
      "",
      "It trains for two steps on a device that only counts. What CUDA itself and cuBLAS take"
          + " beside the arrays is not counted."
    },
    footer = {
      "",
      "Examples:",
      "  fornax plan --preset gpt2 --batch 8 --precision bf16 --gpu a100-80g",
      "  fornax plan --preset gpt2-xl --batch 4 --recompute --gpu h100",
      "  fornax plan --preset baby --batch 16 --device cpu --gpu 16000000000"
    })
final class PlanCommand extends Command {
  private static final double GB = 1e9;

  private final Output output;

  @Option(
      names = "--preset",
      paramLabel = "NAME",
      order = 1,
      description = "Sizes: nano, baby, gpt2, gpt2-medium ... gpt3-175b. Default: gpt2.")
  String preset = "gpt2";

  @Option(
      names = "--batch",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Count.class,
      description = "Sequences of a forward pass. Default: the preset's.")
  @Nullable Integer batch;

  @Option(
      names = "--accumulate",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Count.class,
      description = "Forward passes of a step. Default: 1.")
  int accumulate = 1;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      order = 4,
      converter = PrecisionOption.class,
      description = "f32, tf32, bf16 or f16. Default: f32.")
  Precision precision = Precision.F32;

  @Option(
      names = "--recompute",
      order = 5,
      description = "Compute blocks again in backward instead of keeping what they hold.")
  boolean recompute;

  @Option(
      names = "--vocabulary",
      paramLabel = "N",
      order = 6,
      converter = Numbers.Count.class,
      description = "Tokens. Default: 50257; for nano and baby 77, Dickens' characters.")
  @Nullable Integer vocabulary;

  @Option(
      names = "--device",
      paramLabel = "KIND",
      order = 7,
      description = "The backend to plan for: cpu, cuda or opencl. Default: cuda.")
  String device = "cuda";

  @Option(
      names = "--gpu",
      paramLabel = "NAME|BYTES",
      order = 8,
      description =
          "What it has to fit into: a number of bytes, or h200, h100, h100-pcie, a100-80g,"
              + " a100-40g, a40, a30, l40s, l4, v100, t4, rtx4090, rtx3090. Default: a100-80g.")
  String gpu = "a100-80g";

  @Option(names = "--json", order = 9, description = "Print one line of JSON.")
  boolean json;

  @ArgGroup(validate = false, order = 10, heading = "%nThe model (default: the preset's):%n")
  ModelOptions model = new ModelOptions();

  PlanCommand(Output output) {
    this.output = output;
  }

  private record Plan(
      GptConfig model, TrainOptions options, MemoryPlan memory, long capacity, int largest) {}

  @Override
  public Integer call() {
    Recipe defaults = recipe();
    int tokens = or(vocabulary, defaults.tokenizer().equals("char") ? 77 : 50_257);
    GptConfig sizes = model.sizes(defaults.sizes()).withVocabulary(tokens);
    TrainOptions options =
        TrainOptions.builder(1, or(batch, defaults.batch()), Recipe.PLAIN)
            .accumulate(accumulate)
            .precision(precision)
            .recompute(recompute)
            .build();
    TrainCommand.requireIndexable(options.batch(), sizes.context());
    BackendProvider provider = provider();
    long capacity = capacity();
    var plan =
        new Plan(
            sizes,
            options,
            MemoryPlan.of(sizes, options, provider, capacity),
            capacity,
            MemoryPlan.largestBatch(sizes, options, provider, capacity));
    if (json) {
      printJson(plan);
    } else {
      print(plan, output.out());
    }
    return ExitCode.OK;
  }

  private Recipe recipe() {
    try {
      return Recipe.of(preset);
    } catch (IllegalArgumentException e) {
      throw new UserException("--" + e.getMessage(), e);
    }
  }

  private BackendProvider provider() {
    List<String> names = new ArrayList<>();
    for (BackendProvider provider : Backends.providers()) {
      if (provider.name().equals(device)) {
        return provider;
      }
      names.add(provider.name());
    }
    throw new UserException("--device: unknown; got " + device + "; need one of " + names);
  }

  private long capacity() {
    KnownDevice known = KnownDevice.of(gpu);
    if (known != null) {
      return known.bytes();
    }
    if (gpu.matches("[0-9]{1,18}") && Long.parseLong(gpu) > 0) {
      return Long.parseLong(gpu);
    }
    throw new UserException(
        "--gpu: unknown; got "
            + gpu
            + "; need a number of bytes or one of "
            + KnownDevice.all().stream().map(KnownDevice::id).distinct().toList());
  }

  private void print(Plan plan, PrintStream to) {
    MemoryPlan memory = plan.memory();
    to.printf(
        Locale.ROOT,
        "%s: %,d parameters; batch %,d × context %,d, %s%s, on %s%n%n",
        preset,
        plan.model().parameterCount(),
        plan.options().batch(),
        plan.model().context(),
        precision,
        recompute ? ", recomputing" : "",
        device);
    for (Owner owner : Owner.values()) {
      line(to, owner.name().toLowerCase(Locale.ROOT), memory.atPeak().getOrDefault(owner, 0L));
    }
    line(to, "in all, at the peak", memory.peakBytes());
    line(to, "asked of the device", memory.systemBytes());
    double flops = Flops.perToken(plan.model());
    to.printf(
        Locale.ROOT, "%nwork       %,.3f GFLOP for each token (%s)%n", flops / 1e9, Flops.FORMULA);
    to.printf(
        Locale.ROOT,
        "fits       %s: %s (%,.1f GB)%n",
        gpu,
        plan.options().batch() <= plan.largest() ? "yes" : "no",
        plan.capacity() / GB);
    to.printf(
        Locale.ROOT,
        "largest    %s%n",
        plan.largest() == 0
            ? "not even one sequence fits"
            : String.format(
                Locale.ROOT,
                "--batch %,d, %,d tokens a pass",
                plan.largest(),
                (long) plan.largest() * plan.model().context()));
    to.flush();
  }

  private static void line(PrintStream to, String what, long bytes) {
    to.printf(Locale.ROOT, "%-20s %,20d bytes %,10.3f GB%n", what, bytes, bytes / GB);
  }

  private void printJson(Plan plan) {
    JsonLine.print(
        output.out(),
        json -> {
          json.writeStartObject();
          json.writeNumberField("parameters", plan.model().parameterCount());
          for (Owner owner : Owner.values()) {
            json.writeNumberField(
                owner.name().toLowerCase(Locale.ROOT) + "Bytes",
                plan.memory().atPeak().getOrDefault(owner, 0L));
          }
          json.writeNumberField("peakBytes", plan.memory().peakBytes());
          json.writeNumberField("systemBytes", plan.memory().systemBytes());
          json.writeNumberField("flopsPerToken", Flops.perToken(plan.model()));
          json.writeNumberField("deviceBytes", plan.capacity());
          json.writeBooleanField("fits", plan.options().batch() <= plan.largest());
          json.writeNumberField("largestBatch", plan.largest());
          json.writeEndObject();
        });
  }
}
