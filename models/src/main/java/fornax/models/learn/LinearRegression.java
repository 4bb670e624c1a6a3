package fornax.models.learn;

import fornax.nn.Initializer;
import fornax.nn.Linear;
import fornax.nn.Weights;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.optim.Sgd;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Objects;
import java.util.Random;

/// Weight from height by one coefficient, then from height and sex by two and a bias.
final class LinearRegression implements Rung {
  // The first people: weight = 0.32·height (kg and cm), give or take.
  private static final int FEW = 100;
  private static final double COEFFICIENT = 0.32;
  private static final double DEVIATION = 3; // kg

  // The second: weight = 0.5·height + 6·male − 20, times 1 + noise.
  private static final int MANY = 1000;
  private static final double PER_CM = 0.5;
  private static final double MALE = 6;
  private static final double BIAS = -20;
  private static final double NOISE = 0.03;

  private static final double MEAN_HEIGHT = 168;
  private static final double HEIGHT_DEVIATION = 10;

  @Override
  public String name() {
    return "linear";
  }

  @Override
  public String title() {
    return "linear regression: weight from height, then from height and sex";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    lesson.picture("linear", Picture.beside(first(lesson), second(lesson)));
  }

  private static double height(Random random) {
    return MEAN_HEIGHT + HEIGHT_DEVIATION * random.nextGaussian();
  }

  /// `weight = w·height`: one number to find.
  private static Picture first(Lesson lesson) {
    Random random = lesson.random(1);
    float[] height = new float[FEW];
    float[] weight = new float[FEW];
    for (int i = 0; i < FEW; i++) {
      height[i] = (float) height(random);
      weight[i] = (float) (COEFFICIENT * height[i] + DEVIATION * random.nextGaussian());
    }
    Linear.Options oneNumber = Linear.Options.DEFAULT.withoutBias().withWeight(Initializer.zeros());
    int steps = lesson.choose(100, 50);
    try (var model = new Linear(Weights.seeded(lesson.setup().seed()), 1, 1, oneNumber);
        var optimizer =
            new Sgd(ParameterGroup.of(model.parameters(), 0), Schedule.constant(5e-6))) {
      var _ = lesson.train(steps, optimizer, _ -> loss(model, height, 1, weight));
      double w = model.weight().item();
      lesson.say(
          "weight = w·height: w = %.4f after %d steps, %s made the data", w, steps, COEFFICIENT);
      lesson.figure("coefficient", w);
      double[] ends = {140, 200};
      return new Plot("Weight = %.3f · height".formatted(w), "height (cm)", "weight (kg)")
          .dots("people", doubles(height), doubles(weight), Plot.BLUE)
          .line("fitted", ends, new double[] {w * ends[0], w * ends[1]}, Plot.RED);
    }
  }

  /// The mean squared error of `x [N, inputs]` for `weight [N]`.
  private static Tensor loss(Linear model, float[] x, int inputs, float[] weight) {
    Tensor y = model.forward(Tensor.of(x, weight.length, inputs)); // [N, 1]
    return y.squeeze(1).meanSquaredError(Tensor.of(weight));
  }

  private static double formula(double height, int male) {
    return PER_CM * height + MALE * male + BIAS;
  }

  /// `weight = w·(standardised height, male) + b`. Standardised, both axes of the loss are about as
  /// steep, and one rate suits them.
  private static Picture second(Lesson lesson) {
    Random random = lesson.random(2);
    float[] x = new float[2 * MANY];
    float[] weight = new float[MANY];
    for (int i = 0; i < MANY; i++) {
      double height = height(random);
      int male = random.nextInt(2);
      x[2 * i] = (float) ((height - MEAN_HEIGHT) / HEIGHT_DEVIATION);
      x[2 * i + 1] = male;
      weight[i] = (float) (formula(height, male) * (1 + NOISE * random.nextGaussian()));
    }
    int steps = lesson.choose(400, 200);
    try (var model = new Linear(Weights.seeded(lesson.setup().seed()), 2, 1);
        var optimizer = new Sgd(ParameterGroup.of(model.parameters(), 0), Schedule.constant(0.2))) {
      Lesson.Curve curve = lesson.train(steps, optimizer, _ -> loss(model, x, 2, weight));
      float[] w = model.weight().toFloatArray();
      double perCm = w[0] / HEIGHT_DEVIATION;
      double bias = Objects.requireNonNull(model.bias()).item() - perCm * MEAN_HEIGHT;
      double worst = worst(model);
      lesson.say(
          "weight = %.4f·height %+.3f·male %+.3f; made by %s·height %+.0f·male %+.0f",
          perCm, w[1], bias, PER_CM, MALE, BIAS);
      lesson.say(
          "predictions from 150 to 190 cm differ by at most %.2f %% from the formula", 100 * worst);
      lesson.figure("worstRelativeError", worst);
      lesson.figure("perCm", perCm);
      lesson.figure("male", w[1]);
      lesson.figure("bias", bias);
      return new Plot("Height, sex and bias: the loss", "step", "mean squared error (kg²)")
          .line("training", curve.steps(), curve.losses(), Plot.BLUE)
          .logarithmic(false, true)
          .withoutLegend();
    }
  }

  /// The largest relative difference between model and formula.
  private static double worst(Linear model) {
    double worst = 0;
    try (var _ = Scope.open()) {
      for (int height = 150; height <= 190; height++) {
        for (int male = 0; male < 2; male++) {
          float[] x = {(float) ((height - MEAN_HEIGHT) / HEIGHT_DEVIATION), male};
          double predicted = model.forward(Tensor.of(x, 1, 2)).item();
          double wanted = formula(height, male);
          worst = Math.max(worst, Math.abs(predicted - wanted) / wanted);
        }
      }
    }
    return worst;
  }

  private static double[] doubles(float[] values) {
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    return wide;
  }
}
