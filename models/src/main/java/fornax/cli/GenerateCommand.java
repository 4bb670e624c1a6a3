package fornax.cli;

import fornax.data.StopStrings;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.Sampling;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "generate",
    description = "Lets a trained model continue a text.",
    footer = {
      "",
      "Where the text outgrows the model's context, the model sees its last part.",
      "",
      "Examples:",
      "  fornax generate --checkpoint runs/DIR --prompt \"The old man\"",
      "  fornax generate --checkpoint runs/DIR --temperature 0 --max-tokens 100"
    })
final class GenerateCommand extends Command {
  private final Output output;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      required = true,
      order = 1,
      description = "The folder of a run, as fornax train prints it, or of a Hugging Face GPT-2.")
  @Nullable Path checkpoint;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      order = 2,
      description = "The text to continue. Default: the beginning of a line.")
  String prompt = "";

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Count.class,
      description = "How many tokens to write. Default: 400.")
  int maxTokens = 400;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      order = 4,
      converter = Numbers.NotNegative.class,
      description = "What logits are divided by; 0 takes the likeliest token always. Default: 0.8.")
  double temperature = Sampler.TEMPERATURE;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      order = 5,
      converter = Numbers.Count.class,
      description = "Choose from the K likeliest tokens only. Default: from all.")
  @Nullable Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      order = 6,
      converter = Numbers.Share.class,
      description =
          "Choose from the likeliest tokens that reach the probability P together."
              + " Default: 1, from all.")
  double topP = 1;

  @Option(
      names = "--seed",
      paramLabel = "N",
      order = 7,
      converter = Numbers.Seed.class,
      description = "Seed of the choices: the same seed gives the same text. Default: 1337.")
  long seed = 1337;

  @Mixin ModelDeviceOptions computing = new ModelDeviceOptions();

  @Option(
      names = "--repetition-penalty",
      paramLabel = "P",
      order = 11,
      converter = Numbers.Positive.class,
      description =
          "Make tokens that stand in the text already less likely: their logits are divided by P."
              + " Default: 1, no penalty.")
  double repetitionPenalty = 1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      order = 12,
      description = "End before this text. May be given several times.")
  @Nullable List<String> stop;

  @Option(
      names = "--samples",
      paramLabel = "N",
      order = 13,
      converter = Numbers.Count.class,
      description =
          "Write N texts at the same time, with the seeds from --seed on. The first appears as it"
              + " is written. Default: 1.")
  int samples = 1;

  GenerateCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    Checkpoint from = Checkpoint.open(required(checkpoint));
    requireKnown(from);
    List<String> stops = stop == null ? List.of() : stop;
    if (stops.contains("")) {
      throw new UserException("--stop: empty; need a text");
    }
    var first = new Sampling(temperature, topK == null ? 0 : topK, topP, seed, repetitionPenalty);
    List<Sampling> samplings = new ArrayList<>();
    for (int i = 0; i < samples; i++) {
      samplings.add(first.withSeed(seed + i));
    }
    PrintStream out = output.out();
    try (var opened = computing.open(output.err());
        Gpt model = from.model(opened, computing.precision, output)) {
      List<StringBuilder> texts = new ArrayList<>(); // of the samples behind the first
      List<StopStrings> ends = new ArrayList<>();
      for (int i = 0; i < samples; i++) {
        var text = new StringBuilder();
        texts.add(text);
        ends.add(new StopStrings(stops, i == 0 ? piece -> print(out, piece) : hold(text)));
      }
      out.print(prompt);
      new Sampler(model, from.tokenizer())
          .stream(prompt, maxTokens, samplings, (i, piece) -> ends.get(i).next(piece));
      ends.forEach(StopStrings::end);
      out.println();
      for (int i = 1; i < samples; i++) {
        out.println("--- seed " + (seed + i));
        out.println(prompt + texts.get(i));
      }
    }
    return ExitCode.OK;
  }

  private static boolean print(PrintStream out, String piece) {
    out.print(piece);
    out.flush();
    return true;
  }

  private static Predicate<String> hold(StringBuilder text) {
    return piece -> !text.append(piece).isEmpty();
  }

  /// Before the device is opened and anything printed.
  private void requireKnown(Checkpoint from) {
    int[] _ = from.tokenizer().encode(prompt);
  }
}
