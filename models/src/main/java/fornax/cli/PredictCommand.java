package fornax.cli;

import fornax.array.Shape;
import fornax.models.learn.DigitImage;
import fornax.models.learn.DigitMlp;
import fornax.models.mlp.Mlp;
import fornax.nn.Weights;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@CommandLine.Command(
    name = "predict",
    description = "Tells which digit is drawn on an image, with the network of `learn mnist`.",
    footer = {
      "",
      "Examples:",
      "  fornax learn mnist                            trains the network",
      "  fornax predict seven.png                      takes the newest one in runs",
      "  fornax predict seven.png --checkpoint runs/DIR --json"
    })
final class PredictCommand extends Command {
  private static final Path RUNS = Path.of("runs");

  private final Output output;

  @Parameters(
      paramLabel = "IMAGE",
      description = "A PNG or JPEG of one digit, dark on light or light on dark.")
  @Nullable Path image;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      order = 1,
      description =
          "The folder of a run of learn mnist, as it prints it. Default: the newest in runs.")
  @Nullable Path checkpoint;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 2,
      description = "auto, or a device that fornax devices lists. Default: auto.")
  String device = "auto";

  @Option(
      names = "--json",
      order = 3,
      description =
          "Print one line of JSON on standard output; everything else goes to standard error.")
  boolean json;

  PredictCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    Path folder = checkpoint == null ? newest() : checkpoint;
    Path file = folder.resolve(DigitMlp.MODEL_FILE);
    if (!Files.isRegularFile(file)) {
      throw new UserException(
          "predict: no " + DigitMlp.MODEL_FILE + " in " + folder + "; need a run of learn mnist");
    }
    float[] pixels = DigitImage.read(required(image));
    try (var opened = OpenDevice.open(device, null, output.err());
        var model = new Mlp(DigitMlp.SIZES, Weights.zeros(opened.backend(), 0))) {
      var _ = model.load(file);
      try (var _ = GradMode.noGrad();
          var _ = Scope.open()) {
        Tensor x = Tensors.on(opened.backend()).of(pixels, Shape.of(1, pixels.length));
        print(model.logits(x).softmax(-1).toFloatArray());
      }
    }
    return ExitCode.OK;
  }

  /// The newest folder of a run of the rung.
  private static Path newest() throws IOException {
    if (Files.isDirectory(RUNS)) {
      try (var folders = Files.list(RUNS)) {
        var found =
            folders
                .filter(folder -> folder.getFileName().toString().contains("-learn-mnist"))
                .filter(folder -> Files.isRegularFile(folder.resolve(DigitMlp.MODEL_FILE)))
                .max(Comparator.naturalOrder());
        if (found.isPresent()) {
          return found.get();
        }
      }
    }
    throw new UserException(
        "predict: no network in runs; need one; train it with ./fornax learn mnist");
  }

  private void print(float[] probabilities) {
    int digit = 0;
    for (int i = 0; i < probabilities.length; i++) {
      digit = probabilities[i] > probabilities[digit] ? i : digit;
    }
    if (json) {
      int best = digit;
      JsonLine.print(
          output.out(),
          line -> {
            line.writeStartObject();
            line.writeNumberField("digit", best);
            line.writeArrayFieldStart("probabilities");
            for (float probability : probabilities) {
              line.writeNumber(probability);
            }
            line.writeEndArray();
            line.writeEndObject();
          });
      return;
    }
    for (int i = 0; i < probabilities.length; i++) {
      output
          .out()
          .printf(
              Locale.ROOT,
              "%s %d  %6.2f %%  %s%n",
              i == digit ? "→" : " ",
              i,
              100 * probabilities[i],
              "━".repeat(Math.round(40 * probabilities[i])));
    }
  }
}
