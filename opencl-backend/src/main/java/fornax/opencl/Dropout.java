package fornax.opencl;

import fornax.backend.NdArray;
import fornax.backend.Philox;

/// Launches `dropout.cl`.
final class Dropout {
  private static final int WORDS = 4; // of one block of Philox

  private final OpenClQueue queue;
  private final Tuning tuning;

  Dropout(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void random(NdArray state, int stream, NdArray y) {
    queue.launch(
        "random",
        Kernel.Spec.of("dropout", "random", Types.option("random", "Y", y)),
        Grid.items(Grid.ceilDiv(y.elements(), WORDS), tuning.flat()),
        state,
        stream,
        y,
        y.elements());
  }

  void dropout(NdArray x, double p, NdArray state, int stream, NdArray y) {
    queue.launch(
        "dropout",
        Kernel.Spec.of(
            "dropout",
            "dropout",
            Types.option("dropout", "X", x) + Types.option("dropout", "Y", y)),
        Grid.items(Grid.ceilDiv(x.elements(), WORDS), tuning.flat()),
        x,
        y,
        state,
        stream,
        Philox.keepThreshold(p),
        (float) (1 / (1 - p)),
        x.elements());
  }
}
