package fornax.train;

import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.data.TokenDataset;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import fornax.train.TrainOptions.OptimizerOptions;
import fornax.train.TrainOptions.Reports;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/// Opens a device, makes a model, trains it and closes everything, many times over; prints by how
/// many kilobytes the process grew in the second half. Run with a heap of fixed size whose pages
/// are all touched, so that what grows is not the heap.
final class ManyRuns {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ManyRuns() {}

  public static void main(String[] args) throws IOException {
    int cycles = Integer.parseInt(args[0]);
    int[] tokens = new int[2000];
    Arrays.setAll(tokens, i -> (i * 31 + i / 7) % 50);
    TokenDataset data = TokenDataset.of(tokens, 16);
    for (int i = 0; i < cycles / 2; i++) {
      train(data);
    }
    long before = residentKilobytes();
    for (int i = 0; i < cycles / 2; i++) {
      train(data);
    }
    System.out.println(residentKilobytes() - before);
  }

  private static void train(TokenDataset data) throws IOException {
    var options =
        new TrainOptions(
            3,
            4,
            1,
            new OptimizerOptions(1e-3, 1e-4, 0, 0.9, 0.99, 0.1, 1),
            new Reports(2, 1, 0),
            7);
    try (Backend backend = Backends.open("cpu").backend()) {
      try (var model = new Gpt(new GptConfig(50, 16, 2, 2, 32, 0.1), Weights.on(backend, 7));
          var trainer = new Trainer(model, data, options)) {
        var _ = trainer.run(new TrainerTest.Recorder(), () -> false);
      }
      if (backend.memory().stats().live() != 0) {
        throw new IllegalStateException(backend.memory().report());
      }
    }
  }

  private static long residentKilobytes() throws IOException {
    String line =
        Files.readAllLines(STATUS).stream()
            .filter(text -> text.startsWith("VmRSS:"))
            .findFirst()
            .orElseThrow();
    return Long.parseLong(line.replaceAll("[^0-9]", ""));
  }
}
