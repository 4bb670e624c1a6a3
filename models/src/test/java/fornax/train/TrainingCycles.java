package fornax.train;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/// Makes a small model, trains it for two steps and closes it, again and again: `TrainingCycles
/// DEVICE CYCLES [kept]`. Opens the device for each and closes it too, or keeps it open. Prints the
/// resident memory in KiB half-way and at the end.
final class TrainingCycles {
  private static final GptConfig CONFIG = new GptConfig(65, 16, 1, 2, 16, 0.1);
  private static final Shape BATCH = Shape.of(2, 16);

  private TrainingCycles() {}

  public static void main(String[] args) throws IOException {
    int cycles = Integer.parseInt(args[1]);
    Backend kept = args.length > 2 ? Backends.open(args[0]).backend() : null;
    for (int i = 1; i <= cycles; i++) {
      if (kept != null) {
        cycle(kept, i);
      } else {
        try (Backend backend = Backends.open(args[0]).backend()) {
          cycle(backend, i);
        }
      }
      if (i == cycles / 2 || i == cycles) {
        System.gc(); // so that the heap, of a fixed size, is not what is measured
        System.out.println(residentKibibytes());
      }
    }
    if (kept != null) {
      kept.close();
    }
  }

  private static void cycle(Backend backend, int seed) {
    Random random = new Random(seed);
    int[] tokens = random.ints(BATCH.elements(), 0, CONFIG.vocabulary()).toArray();
    try (var model = new Gpt(CONFIG, Weights.on(backend, seed));
        var optimizer =
            new AdamW(
                ParameterGroup.decayMatrices(model.parameters(), 0.1), Schedule.constant(1e-3));
        var clip = GradientClip.byGlobalNorm(backend, 1)) {
      for (int step = 0; step < 2; step++) {
        try (var _ = Scope.open()) {
          model.generator().setStep(step);
          Tensor x = Tensors.on(backend).of(tokens, BATCH);
          model.loss(x, x).backward();
          optimizer.step(clip.scale(optimizer.parameters()));
          optimizer.zeroGrad();
        }
      }
    }
    backend.synchronize(); // or the queue of what is yet to be done would be measured
    long live = backend.memory().stats().live();
    if (live != 0) {
      throw new IllegalStateException("left behind: " + backend.memory().report());
    }
  }

  private static long residentKibibytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("/proc/self/status has no VmRSS");
  }
}
