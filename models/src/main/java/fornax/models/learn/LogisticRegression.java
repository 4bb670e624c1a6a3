package fornax.models.learn;

import fornax.array.DType;
import fornax.nn.Initializer;
import fornax.nn.Linear;
import fornax.nn.Weights;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.optim.Sgd;
import fornax.tensor.GradMode;
import fornax.tensor.Reduction;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Objects;
import java.util.Random;
import java.util.function.BiFunction;

/// Heart disease from sleep and exercise: a probability by the sigmoid, fitted by the log loss, and
/// by the mean squared error to see why not.
final class LogisticRegression implements Rung {
  private static final int PEOPLE = 100;
  private static final int HELD_OUT = 20_000;
  private static final double RATE = 1;

  // P(disease) = sigmoid(RISK − PER_SLEEP·s − PER_EXERCISE·e), s and e standardised.
  private static final double RISK = -1;
  private static final double PER_SLEEP = 6;
  private static final double PER_EXERCISE = 8;
  private static final double SLEEP_MEAN = 7; // hours a night
  private static final double SLEEP_DEVIATION = 1.2;
  private static final double EXERCISE_MEAN = 4; // hours a week
  private static final double EXERCISE_DEVIATION = 1.5;

  @Override
  public String name() {
    return "logistic";
  }

  @Override
  public String title() {
    return "logistic regression: heart disease from sleep and exercise";
  }

  /// @param x standardised hours of sleep and exercise, `[N, 2]`
  /// @param ill 1 or 0, drawn from the rule's probability
  /// @param ruleAccuracy how often the rule itself is right about `ill`, which is chance in part
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record People(float[] x, float[] ill, double ruleAccuracy) {
    static People of(int count, Random random) {
      float[] x = new float[2 * count];
      float[] ill = new float[count];
      int right = 0;
      for (int i = 0; i < count; i++) {
        x[2 * i] = (float) random.nextGaussian();
        x[2 * i + 1] = (float) random.nextGaussian();
        double logit = RISK - PER_SLEEP * x[2 * i] - PER_EXERCISE * x[2 * i + 1];
        ill[i] = random.nextDouble() < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
        right += logit > 0 == ill[i] > 0 ? 1 : 0;
      }
      return new People(x, ill, (double) right / count);
    }

    Tensor logits(Linear model) {
      return model.forward(Tensor.of(x, ill.length, 2)).squeeze(1); // [N]
    }

    double accuracy(Linear model) {
      try (var _ = GradMode.noGrad();
          var _ = Scope.open()) {
        Tensor right = logits(model).gt(0).eq(Tensor.of(ill).gt(0));
        return right.to(DType.F32).mean().item();
      }
    }
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    People people = People.of(PEOPLE, lesson.random(1));
    People others = People.of(HELD_OUT, lesson.random(2));
    int steps = lesson.choose(200, 100);
    try (var logLoss = model(lesson);
        var squares = model(lesson)) {
      double[] losses = fit(lesson, steps, logLoss, people, Tensor::binaryCrossEntropyWithLogits);
      double[] errors =
          fit(lesson, steps, squares, people, (y, t) -> y.sigmoid().meanSquaredError(t));
      double rises = 0;
      for (int i = 1; i < losses.length; i++) {
        rises += losses[i] > losses[i - 1] ? 1 : 0;
      }
      double accuracy = others.accuracy(logLoss);
      lesson.say(
          "log loss: %.4f at first, %.4f after %d steps, rising in %.0f of them",
          losses[0], losses[steps - 1], steps, rises);
      lesson.say(
          "right about %.2f %% of %d other people; the rule that made them is right about"
              + " %.2f %%",
          100 * accuracy, HELD_OUT, 100 * others.ruleAccuracy());
      lesson.say(
          "fitted by squared error instead: %.2f %%, log loss %.4f",
          100 * others.accuracy(squares), logLoss(squares, people));
      lesson.figure("heldOutAccuracy", accuracy);
      lesson.figure("ruleAccuracy", others.ruleAccuracy());
      lesson.figure("loss", losses[steps - 1]);
      lesson.figure("lossRises", rises);
      lesson.figure("squaredErrorAccuracy", others.accuracy(squares));
      lesson.figure("squaredErrorLogLoss", logLoss(squares, people));
      lesson.picture(
          "logistic", Picture.beside(boundary(logLoss, people), curves(losses, errors), slopes()));
    }
  }

  private static Linear model(Lesson lesson) {
    Linear.Options zeros =
        Linear.Options.DEFAULT.withWeight(Initializer.zeros()).withBias(Initializer.zeros());
    return new Linear(Weights.seeded(lesson.setup().seed()), 2, 1, zeros);
  }

  /// The loss at every step, on all people at once.
  private static double[] fit(
      Lesson lesson,
      int steps,
      Linear model,
      People people,
      BiFunction<Tensor, Tensor, Tensor> loss) {
    double[] losses = new double[steps];
    try (var optimizer =
        new Sgd(ParameterGroup.of(model.parameters(), 0), Schedule.constant(RATE))) {
      var _ =
          lesson.train(
              steps,
              optimizer,
              step -> {
                Tensor value = loss.apply(people.logits(model), Tensor.of(people.ill()));
                losses[step] = value.item();
                return value;
              });
    }
    return losses;
  }

  private static double logLoss(Linear model, People people) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      return people.logits(model).binaryCrossEntropyWithLogits(Tensor.of(people.ill())).item();
    }
  }

  private static Picture boundary(Linear model, People people) {
    float[] field = Plot.field(-3, 3, -3, 3);
    boolean[] ill;
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      ill = model.forward(Tensor.of(field, field.length / 2, 2)).gt(0).toBooleanArray();
    }
    int n = people.ill().length;
    double[] sleep = new double[n];
    double[] exercise = new double[n];
    boolean[] second = new boolean[n];
    for (int i = 0; i < n; i++) {
      sleep[i] = hours(people.x()[2 * i], SLEEP_MEAN, SLEEP_DEVIATION);
      exercise[i] = hours(people.x()[2 * i + 1], EXERCISE_MEAN, EXERCISE_DEVIATION);
      second[i] = people.ill()[i] > 0;
    }
    for (int i = 0; i < field.length; i += 2) {
      field[i] = (float) hours(field[i], SLEEP_MEAN, SLEEP_DEVIATION);
      field[i + 1] = (float) hours(field[i + 1], EXERCISE_MEAN, EXERCISE_DEVIATION);
    }
    return new Plot(
            "Who is ill, and where the model says so", "sleep (h a night)", "exercise (h a week)")
        .background(field, ill)
        .classes("healthy", "ill", sleep, exercise, second);
  }

  private static double hours(double standardised, double mean, double deviation) {
    return mean + deviation * standardised;
  }

  private static Picture curves(double[] losses, double[] errors) {
    double[] steps = new double[losses.length];
    for (int i = 0; i < steps.length; i++) {
      steps[i] = i + 1;
    }
    return new Plot("Training", "step", "loss")
        .line("log loss (nats)", steps, losses, Plot.BLUE)
        .line("mean squared error", steps, errors, Plot.ORANGE)
        .yRange(0, 0.75);
  }

  /// How steep each loss is in the logit of someone who is ill.
  private static Picture slopes() {
    int count = 81;
    double[] logits = new double[count];
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      logits[i] = (i - 40) / 5.0;
      values[i] = (float) logits[i];
    }
    return new Plot("Slope of the loss for someone ill", "logit", "slope")
        .line(
            "log loss",
            logits,
            slope(values, (y, t) -> y.binaryCrossEntropyWithLogits(t, Reduction.SUM)),
            Plot.BLUE)
        .line(
            "squared error: flat where most wrong",
            logits,
            slope(values, (y, t) -> y.sigmoid().sub(t).square().sum()),
            Plot.ORANGE);
  }

  private static double[] slope(float[] logits, BiFunction<Tensor, Tensor, Tensor> loss) {
    try (var _ = Scope.open()) {
      Tensor y = Tensor.of(logits).requiresGrad(true);
      Tensor value = loss.apply(y, Tensor.ones(logits.length));
      value.backward();
      Tensor gradient = Objects.requireNonNull(y.grad());
      return gradient.toDoubleArray();
    }
  }
}
