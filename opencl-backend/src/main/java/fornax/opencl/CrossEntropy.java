package fornax.opencl;

import fornax.backend.CrossEntropyOptions;
import fornax.backend.NdArray;

/// Launches `crossentropy.cl`.
final class CrossEntropy {
  private final OpenClQueue queue;
  private final Tuning tuning;

  CrossEntropy(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void crossEntropy(
      NdArray x, NdArray targets, CrossEntropyOptions options, NdArray losses, NdArray logSumExp) {
    int group = tuning.row(x.dim(1));
    queue.launch(
        "crossEntropy",
        Kernel.Spec.of(
            "crossentropy",
            "cross_entropy",
            "-D GROUP=" + group + Types.option("crossEntropy", "X", x)),
        Grid.groups(x.dim(0), group),
        x,
        targets,
        losses,
        logSumExp,
        x.dim(1),
        options.ignoreIndex(),
        (float) options.smoothing(),
        new IndexErrors.Check("crossEntropy", targets.layout(), x.dim(1)));
  }

  void gradient(
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    String op = "crossEntropyGradient";
    int group = tuning.row(x.dim(1));
    queue.launch(
        op,
        Kernel.Spec.of(
            "crossentropy",
            "cross_entropy_gradient",
            "-D GROUP="
                + group
                + Types.option(op, "X", x)
                + Types.option(op, "DL", dLosses)
                + Types.option(op, "DX", dx)),
        Grid.groups(x.dim(0), group),
        x,
        targets,
        logSumExp,
        dLosses,
        dx,
        x.dim(1),
        dLosses.layout().stride(0),
        options.ignoreIndex(),
        (float) options.smoothing());
  }
}
