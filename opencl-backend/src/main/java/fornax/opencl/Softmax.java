package fornax.opencl;

import fornax.backend.NdArray;

/// Launches `softmax.cl`.
final class Softmax {
  private final OpenClQueue queue;
  private final Tuning tuning;

  Softmax(OpenClQueue queue, Tuning tuning) {
    this.queue = queue;
    this.tuning = tuning;
  }

  void softmax(boolean log, NdArray x, int axis, NdArray y) {
    String op = log ? "logSoftmax" : "softmax";
    run(
        op,
        "softmax",
        option(log) + Types.option(op, "X", x) + Types.option(op, "Y", y),
        axis,
        x,
        y);
  }

  void gradient(boolean log, NdArray y, NdArray dy, int axis, NdArray dx) {
    String op = log ? "logSoftmaxGradient" : "softmaxGradient";
    String options =
        option(log)
            + Types.option(op, "Y", y)
            + Types.option(op, "DY", dy)
            + Types.option(op, "DX", dx);
    run(op, "softmax_gradient", options, axis, y, dy, dx);
  }

  private static String option(boolean log) {
    return "-D LOG=" + (log ? 1 : 0);
  }

  private void run(String op, String kernel, String options, int axis, NdArray... arrays) {
    NdArray x = arrays[0];
    if (x.elements() == 0) {
      return;
    }
    int at = x.shape().axis(op, axis);
    long columns = x.dim(at);
    long lines = x.elements() / columns;
    long stride = x.shape().trailing(x.rank() - at - 1).elements();
    Arguments arguments = new Arguments();
    arguments.addAll((Object[]) arrays);
    if (stride == 1) {
      int group = tuning.row(columns);
      arguments.add(columns);
      queue.launch(
          op,
          Kernel.Spec.of("softmax", kernel + "_rows", options + " -D GROUP=" + group),
          Grid.groups(lines, group),
          arguments.toArray());
    } else {
      arguments.add(lines).add(columns).add(stride);
      queue.launch(
          op,
          Kernel.Spec.of("softmax", kernel + "_lines", options),
          Grid.items(lines, tuning.narrow()),
          arguments.toArray());
    }
  }
}
