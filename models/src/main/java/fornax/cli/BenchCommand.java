package fornax.cli;

import fornax.backend.Settings.CpuMatmul;
import fornax.nn.Precision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@CommandLine.Command(
    name = "bench",
    description = {
      "Measures how fast this machine runs: single operations against the machine's limits, whole"
          + " training steps, or the hot paths against the committed baseline.",
      "",
      "Needs a checkout: the archive comes without the benchmarks."
    },
    footer = {
      "",
      "Examples:",
      "  fornax bench --quick                          every suite, for a first look",
      "  fornax bench 'Matmul|Attention' --json out.json",
      "  fornax bench --train baby --threads 2         tokens per second of training",
      "  fornax bench --device cuda --report card.json everything to know of a card, in one file",
      "  fornax bench --guard                          exits with 1 if something got slower"
    })
final class BenchCommand extends Command {
  private static final String THREADS = "fornax.threads"; // read by Settings
  private static final String MATMUL = "fornax.cpu.matmul"; // likewise
  private static final String EVERY_SUITE = "";

  private final Output output;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli sets it
  CommandSpec spec;

  @Parameters(
      arity = "0..1",
      paramLabel = "REGEX",
      description = "The suites to run: those whose name has a match. Default: all.")
  @Nullable String regex;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 1,
      description = "auto, or a device that fornax devices lists. Default: auto.")
  String device = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Threads.class,
      description = "Threads of the CPU device. Default: one for each processor.")
  @Nullable Integer threads;

  @Option(names = "--quick", order = 3, description = "Measure for a shorter time.")
  boolean quick;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      order = 4,
      description = "Write the suites' results to FILE, too.")
  @Nullable Path json;

  @Option(
      names = "--train",
      paramLabel = "SHAPE",
      order = 5,
      description =
          "Time training steps on random tokens: nano, baby, gpt2, or"
              + " LAYERSxHEADSxWIDTHxCONTEXTxBATCHxVOCABULARY.")
  @Nullable String train;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      order = 6,
      converter = PrecisionOption.class,
      description = "With --train: f32, tf32 (CUDA), bf16 or f16. Default: f32.")
  @Nullable Precision precision;

  @Option(
      names = "--matmul",
      paramLabel = "NAME",
      order = 6,
      converter = MatmulOption.class,
      description = MatmulOption.DESCRIPTION)
  @Nullable CpuMatmul matmul;

  @Option(
      names = "--steps",
      paramLabel = "N",
      order = 7,
      converter = Numbers.Count.class,
      description = "With --train: steps to time. Default: as many as take a few seconds.")
  @Nullable Integer steps;

  @Option(
      names = "--guard",
      order = 8,
      description = "Compare the CPU's hot paths with benchmarks/baseline.json.")
  boolean guard;

  @Option(
      names = "--accept",
      order = 9,
      description = "With --guard: make what is measured the new baseline.")
  boolean accept;

  @Option(
      names = "--report",
      paramLabel = "FILE",
      order = 10,
      description =
          "Measure what comes first on a GPU, products, attention and a step of GPT-2 with its"
              + " kernels and gaps, into FILE, which anyone can send.")
  @Nullable Path report;

  BenchCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    check();
    BenchRunner runner =
        ServiceLoader.load(BenchRunner.class)
            .findFirst()
            .orElseThrow(
                () ->
                    new UserException(
                        "bench: the benchmarks are not on the class path; need a checkout of the"
                            + " sources, where ./fornax bench builds them"));
    String before = System.getProperty(THREADS);
    String matmulBefore = System.getProperty(MATMUL);
    if (matmul != null) {
      System.setProperty(MATMUL, matmul.name());
    }
    if (threads != null) {
      System.setProperty(THREADS, String.valueOf(threads));
    }
    try {
      var setup = new BenchRunner.Setup(device, quick, output.out(), output.err());
      if (report != null) {
        return runner.report(setup, report);
      }
      if (train != null) {
        return runner.train(setup, train, precision == null ? Precision.F32 : precision, steps);
      }
      return guard
          ? runner.guard(setup, accept)
          : runner.suites(setup, regex == null ? EVERY_SUITE : regex, json);
    } finally {
      OpenDevice.restore(THREADS, before);
      OpenDevice.restore(MATMUL, matmulBefore);
    }
  }

  private void check() {
    refuse(
        report != null && (regex != null || train != null || guard || json != null || quick),
        "--report measures everything; take it alone");
    refuse(train != null && guard, "--train and --guard exclude each other");
    refuse(train != null && quick, "--train and --quick exclude each other; --steps 3 is quick");
    refuse(regex != null && (train != null || guard), "REGEX chooses suites; got " + regex);
    refuse(threads != null && guard, "--guard measures one thread; got --threads " + threads);
    refuse(json != null && (train != null || guard), "--json is for the suites");
    refuse(train == null && precision != null, "--precision needs --train");
    refuse(train == null && steps != null, "--steps needs --train");
    refuse(accept && !guard, "--accept needs --guard");
  }

  private void refuse(boolean wrong, String message) {
    if (wrong) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }
}
