package fornax.models.learn;

import fornax.backend.Unary;
import fornax.nn.Layer;
import fornax.nn.Linear;
import fornax.nn.Sequential;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Objects;
import java.util.function.Function;

/// Exclusive or: no line separates its four points, two ReLUs do.
final class Xor implements Rung {
  private static final float[] X = {0, 0, 0, 1, 1, 0, 1, 1};
  private static final float[] Y = {0, 1, 1, 0};
  private static final int MOST_STARTS = 50;
  private static final int LINEAR_STARTS = 10;
  private static final double RATE = 0.05;

  @Override
  public String name() {
    return "xor";
  }

  @Override
  public String title() {
    return "exclusive or: one linear classifier fails, two with ReLU succeed";
  }

  /// A model, how many of the points it got right at its best, and how many starts that took.
  private record Trained(Layer model, double accuracy, int starts) {}

  @Override
  public void run(Lesson lesson) throws IOException {
    Trained line = best(lesson, LINEAR_STARTS, weights -> new Linear(weights, 2, 1));
    Trained network =
        best(
            lesson,
            MOST_STARTS,
            weights ->
                new Sequential(new Linear(weights, 2, 2, Unary.RELU), new Linear(weights, 2, 1)));
    try (var _ = line.model();
        var _ = network.model()) {
      lesson.say(
          "one line: at best %.0f %% of the four points, in %d starts",
          100 * line.accuracy(), line.starts());
      lesson.say(
          "two lines with ReLU, and one to join them: %.0f %%, in %d starts",
          100 * network.accuracy(), network.starts());
      lesson.figure("linearAccuracy", line.accuracy());
      lesson.figure("networkAccuracy", network.accuracy());
      lesson.figure("networkStarts", network.starts());
      lesson.picture(
          "xor",
          Picture.beside(
              picture("One linear classifier: %.0f %%", line),
              picture("Two with ReLU: %.0f %%", network)));
    }
  }

  /// Trains from several starts until one gets all four points right, as a ReLU that is 0 for all
  /// of them learns nothing. Keeps the best.
  private static Trained best(Lesson lesson, int starts, Function<Weights, Layer> maker) {
    Trained best = null;
    for (int start = 0; start < starts; start++) {
      Layer model = maker.apply(Weights.seeded(lesson.setup().seed() * MOST_STARTS + start));
      try (var optimizer =
          new AdamW(ParameterGroup.of(model.parameters(), 0), Schedule.constant(RATE))) {
        var _ = lesson.train(lesson.choose(400, 250), optimizer, _ -> loss(model));
      }
      double accuracy = accuracy(model);
      if (best != null && accuracy <= best.accuracy()) {
        model.close();
        best = new Trained(best.model(), best.accuracy(), start + 1);
      } else {
        if (best != null) {
          best.model().close();
        }
        best = new Trained(model, accuracy, start + 1);
      }
      if (accuracy == 1) {
        break;
      }
    }
    return Objects.requireNonNull(best);
  }

  private static Tensor logits(Layer model, float[] points) {
    return model.forward(Tensor.of(points, points.length / 2, 2)).squeeze(1); // [N]
  }

  private static Tensor loss(Layer model) {
    return logits(model, X).binaryCrossEntropyWithLogits(Tensor.of(Y));
  }

  private static boolean[] above(Layer model, float[] points) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      return logits(model, points).gt(0).toBooleanArray();
    }
  }

  private static double accuracy(Layer model) {
    boolean[] says = above(model, X);
    int right = 0;
    for (int i = 0; i < Y.length; i++) {
      right += says[i] == Y[i] > 0 ? 1 : 0;
    }
    return (double) right / Y.length;
  }

  private static Picture picture(String title, Trained trained) {
    float[] field = Plot.field(-0.5, 1.5, -0.5, 1.5);
    double[] xs = new double[Y.length];
    double[] ys = new double[Y.length];
    boolean[] second = new boolean[Y.length];
    for (int i = 0; i < Y.length; i++) {
      xs[i] = X[2 * i];
      ys[i] = X[2 * i + 1];
      second[i] = Y[i] > 0;
    }
    return new Plot(title.formatted(100 * trained.accuracy()), "first input", "second input")
        .background(field, above(trained.model(), field))
        .classes("equal: 0", "different: 1", xs, ys, second);
  }
}
