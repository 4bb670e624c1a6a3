package fornax.cli;

import fornax.data.EvaluationBatches;
import fornax.data.OrderedBatches;
import fornax.data.TokenDataset;
import fornax.data.TokenizedText.Scan;
import fornax.data.Tokenizer;
import fornax.models.gpt.Gpt;
import fornax.train.Evaluation;
import fornax.train.RunConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "eval",
    description = {
      "Measures how well a trained model predicts a text: its loss in nats per token, and the"
          + " perplexity, e to the loss.",
      "",
      "Of the text that the model was trained on, only the held-out last tenth counts; of another"
          + " text, all."
    },
    footer = {
      "",
      "Examples:",
      "  fornax eval --checkpoint runs/DIR",
      "  fornax eval --checkpoint runs/DIR --data other.txt --json"
    })
final class EvalCommand extends Command {
  private final Output output;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      required = true,
      order = 1,
      description = "The folder of a run, as fornax train prints it, or of a Hugging Face GPT-2.")
  @Nullable Path checkpoint;

  @Option(
      names = "--data",
      paramLabel = "NAME|FILE",
      arity = "1..*",
      order = 2,
      description =
          "Texts: dickens, shakespeare, or UTF-8 files. Default: those it was trained on.")
  @Nullable List<String> data;

  @Option(
      names = "--context",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Count.class,
      description = "Tokens to see at a time, at most the model's context, which is the default.")
  @Nullable Integer context;

  @Mixin ModelDeviceOptions computing = new ModelDeviceOptions();

  @Option(
      names = "--json",
      order = 7,
      description =
          "Print one line of JSON on standard output; everything else goes to standard error.")
  boolean json;

  EvalCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    Checkpoint from = Checkpoint.open(required(checkpoint));
    RunConfig config = from.config();
    int length = from.context(context);
    int rows = config.training().batch();
    if (data == null && config.instructions()) {
      Material pairs =
          Material.ofInstructions(
              Path.of(config.data().getFirst()), from.tokenizer(), length, output.err());
      evaluate(from, pairs.data().evaluationBatches(rows, Long.MAX_VALUE), true);
      return ExitCode.OK;
    }
    List<String> sources = data == null ? config.data() : data;
    Function<Scan, Tokenizer> choice =
        scan ->
            scan.sha256().equals(config.textSha256())
                ? Material.known(from.tokenizer(), output.err()).apply(scan)
                : from.tokenizer();
    try (var text = TrainingText.read(sources, choice, true, output)) {
      boolean known = text.textSha256().equals(config.textSha256());
      EvaluationBatches batches =
          known
              ? TokenDataset.of(text.tokens(), length).evaluationBatches(rows)
              : EvaluationBatches.of(text.tokens(), rows, length);
      evaluate(from, batches, known);
    }
    return ExitCode.OK;
  }

  private void evaluate(Checkpoint from, OrderedBatches batches, boolean known) throws IOException {
    try (var opened = computing.open(output.err());
        Gpt model = from.model(opened, computing.precision, output)) {
      print(Evaluation.of(model, batches), known);
    }
  }

  private void print(Evaluation evaluation, boolean known) {
    if (json) {
      JsonLine.print(
          output.out(),
          line -> {
            line.writeStartObject();
            JsonLine.number(line, "loss", evaluation.loss());
            JsonLine.number(line, "perplexity", evaluation.perplexity());
            line.writeNumberField("tokens", evaluation.tokens());
            line.writeEndObject();
          });
    } else {
      output
          .out()
          .printf(
              Locale.ROOT,
              "loss %.4f, perplexity %.3f on %,d tokens%s%n",
              evaluation.loss(),
              evaluation.perplexity(),
              evaluation.tokens(),
              known ? ", the part held out from training" : "");
    }
  }
}
