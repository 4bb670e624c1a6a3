package fornax.models.learn;

import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Objects;

/// The slope of x² by a finite step, and by automatic differentiation.
final class Derivative implements Rung {
  private static final int STEPS = 7; // 1, 0.1, ... 10⁻⁶

  @Override
  public String name() {
    return "derivative";
  }

  @Override
  public String title() {
    return "the slope of x² by a finite step, and by automatic differentiation";
  }

  private static Tensor f(Tensor x) {
    return x.square();
  }

  /// `(f(x + h) − f(x)) / h`, on the device, in its precision.
  private static double slope(double x, double h) {
    try (var _ = Scope.open()) {
      Tensor there = Tensor.scalar(x + h);
      Tensor here = Tensor.scalar(x);
      return f(there).sub(f(here)).div(h).item();
    }
  }

  /// df/dx, which the tape of the computation gives.
  private static double gradient(double x) {
    try (var _ = Scope.open()) {
      Tensor leaf = Tensor.scalar(x).requiresGrad(true);
      f(leaf).backward();
      return Objects.requireNonNull(leaf.grad()).item();
    }
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    double[] h = new double[STEPS];
    double[] errors = new double[STEPS]; // at t = 3: at 4 = 2² rounding errors happen to cancel
    double exact = gradient(4);
    lesson.say("slope of t² at t = 4:");
    for (int i = 0; i < STEPS; i++) {
      h[i] = Math.pow(10, -i);
      double slope = slope(4, h[i]);
      errors[i] = Math.abs(slope(3, h[i]) - gradient(3));
      lesson.say("  step %-8s %.6f", "%.0e".formatted(h[i]), slope);
    }
    lesson.say("  autograd      %.6f", exact);
    lesson.figure("slopeAt4", exact);
    lesson.figure("finiteSlopeAt4", slope(4, 1e-3));
    for (int x : new int[] {-8, 3}) {
      lesson.figure("slopeAt" + x, gradient(x));
      lesson.figure("finiteSlopeAt" + x, slope(x, 1e-3));
      lesson.say(
          "slope of x² at x = %d: %.3f by a step of 1e-3, %.3f by autograd",
          x, slope(x, 1e-3), gradient(x));
    }
    lesson.picture("derivative", Picture.beside(curve(exact), errors(h, errors)));
  }

  private static Picture curve(double slope) {
    double[] ts = new double[61];
    double[] ys = new double[ts.length];
    for (int i = 0; i < ts.length; i++) {
      ts[i] = i / 10.0;
      try (var _ = Scope.open()) {
        ys[i] = f(Tensor.scalar(ts[i])).item();
      }
    }
    return new Plot("t² and its tangent at t = 4", "t", "t²")
        .line("t²", ts, ys, Plot.BLUE)
        .dashes(
            "slope %.1f".formatted(slope),
            new double[] {2.5, 5.5},
            new double[] {16 - 1.5 * slope, 16 + 1.5 * slope},
            Plot.RED)
        .dots("t = 4", new double[] {4}, new double[] {16}, Plot.RED);
  }

  private static Picture errors(double[] h, double[] errors) {
    return new Plot("Error of the finite step at t = 3, in 32-bit numbers", "step h", "|slope − 6|")
        .line("error", h, errors, Plot.BLUE)
        .dots("steps", h, errors, Plot.BLUE)
        .logarithmic(true, true)
        .withoutLegend();
  }
}
