package fornax.models.learn;

import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Locale;
import java.util.Objects;

/// Gradients through the graph c = a·b, e = c + d, and one step down them.
final class Backprop implements Rung {
  private static final double RATE = 0.1;

  @Override
  public String name() {
    return "backprop";
  }

  @Override
  public String title() {
    return "gradients flow back through a graph of two operations, with and without a ReLU";
  }

  /// Values and de/d(value) of one pass.
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Pass(double[] values, double[] gradients) {}

  /// `c = a·b`, behind a ReLU if `relu`; `e = c + d`. All are scalars: a, b, d, c, e.
  private static Pass pass(double a, double b, double d, boolean relu) {
    try (var _ = Scope.open()) {
      Tensor ta = Tensor.scalar(a).requiresGrad(true);
      Tensor tb = Tensor.scalar(b).requiresGrad(true);
      Tensor td = Tensor.scalar(d).requiresGrad(true);
      Tensor product = ta.mul(tb);
      Tensor tc = relu ? product.relu() : product;
      Tensor te = tc.add(td);
      double c = tc.item();
      double e = te.item();
      te.backward();
      return new Pass(
          new double[] {a, b, d, c, e},
          new double[] {gradient(ta), gradient(tb), gradient(td), gradientOfC(c, d), 1});
    }
  }

  private static double gradient(Tensor leaf) {
    return Objects.requireNonNull(leaf.grad()).item() + 0.0; // no −0
  }

  /// The tape keeps gradients of leaves alone: to see that of c, make c one.
  private static double gradientOfC(double c, double d) {
    Tensor leaf = Tensor.scalar(c).requiresGrad(true);
    leaf.add(Tensor.scalar(d)).backward();
    return gradient(leaf);
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    Picture plain = show(lesson, "", false);
    Picture relu = show(lesson, "Relu", true);
    lesson.picture("backprop", Picture.beside(plain, relu));
  }

  private static Picture show(Lesson lesson, String suffix, boolean relu) {
    Pass pass = pass(4, -2, 5, relu);
    double[] v = pass.values();
    double[] g = pass.gradients();
    double[] stepped = new double[3];
    for (int i = 0; i < 3; i++) {
      stepped[i] = v[i] - RATE * g[i];
    }
    double e = pass(stepped[0], stepped[1], stepped[2], relu).values()[4];
    String c = relu ? "c = relu(a·b)" : "c = a·b";
    lesson.say("%s: e = %.1f; de/da = %.1f, de/db = %.1f, de/dd = %.1f", c, v[4], g[0], g[1], g[2]);
    lesson.say(
        "  a step at rate %s: a = %.1f, b = %.1f, d = %.1f; e = %.2f",
        RATE, stepped[0], stepped[1], stepped[2], e);
    String[] names = {"a", "b", "d"};
    lesson.figure("e" + suffix, v[4]);
    for (int i = 0; i < names.length; i++) {
      lesson.figure("gradient" + names[i].toUpperCase(Locale.ROOT) + suffix, g[i]);
      lesson.figure(names[i] + "AfterStep" + suffix, stepped[i]);
    }
    lesson.figure("eAfterStep" + suffix, e);
    return new GraphPicture(relu ? "With a ReLU on c" : "e = a·b + d")
        .box("a", 0, 0, "a", v[0], g[0])
        .box("b", 0, 1, "b", v[1], g[1])
        .box("d", 1, 1.5, "d", v[2], g[2])
        .box("c", 1, 0.5, c, v[3], g[3])
        .box("e", 2, 1, "e = c + d", v[4], g[4])
        .arrow("a", "c")
        .arrow("b", "c")
        .arrow("c", "e")
        .arrow("d", "e");
  }
}
