package fornax.models.learn;

import fornax.nn.Initializer;
import fornax.nn.Module;
import fornax.nn.Weights;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.optim.Sgd;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;

/// An expression of scalars, and a network built neuron by neuron that tells two moons apart.
/// Source: micrograd, https://github.com/karpathy/micrograd.
final class Micrograd implements Rung {
  private static final int POINTS = 100;
  private static final int FRESH_POINTS = 1000;
  private static final double NOISE = 0.1;
  private static final double DECAY = 1e-4; // of half the squared weights

  @Override
  public String name() {
    return "micrograd";
  }

  @Override
  public String title() {
    return "an expression of scalars, then an MLP of single neurons on two moons";
  }

  /// Weights `[in, 1]` and a bias. Shapes: `x [N, in] → y [N, 1]`.
  private static final class Neuron extends Module {
    private final Tensor weight;
    private final Tensor bias;
    private final boolean relu;

    Neuron(Weights weights, int in, boolean relu) {
      weight = parameter("weight", weights.create(Initializer.uniform(1), in, 1));
      bias = parameter("bias", weights.create(Initializer.zeros(), 1));
      this.relu = relu;
    }

    Tensor forward(Tensor x) {
      Tensor sum = x.matmul(weight).add(bias); // [N, 1]
      return relu ? sum.relu() : sum;
    }
  }

  /// Layers of neurons: 2 inputs, 16 and 16 hidden, 1 output.
  private static final class Network extends Module {
    private final List<List<Neuron>> layers = new ArrayList<>();

    Network(Weights weights) {
      int[] sizes = {2, 16, 16, 1};
      for (int layer = 1; layer < sizes.length; layer++) {
        List<Neuron> neurons = new ArrayList<>();
        for (int i = 0; i < sizes[layer]; i++) {
          boolean relu = layer < sizes.length - 1;
          neurons.add(child(layer + "-" + i, new Neuron(weights, sizes[layer - 1], relu)));
        }
        layers.add(neurons);
      }
    }

    /// `x [N, 2] → score [N]`, above 0 for the upper class.
    Tensor score(Tensor x) {
      Tensor y = x;
      for (List<Neuron> layer : layers) {
        Tensor input = y;
        y = Tensor.concat(1, layer.stream().map(n -> n.forward(input)).toArray(Tensor[]::new));
      }
      return y.squeeze(1);
    }
  }

  /// Points on two half circles, with noise; class 0 is −1 and class 1 is 1.
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Moons(float[] points, float[] labels) {
    static Moons of(int count, Random random) {
      float[] points = new float[2 * count];
      float[] labels = new float[count];
      for (int i = 0; i < count; i++) {
        double angle = Math.PI * random.nextDouble();
        boolean lower = i % 2 == 1;
        double x = lower ? 1 - Math.cos(angle) : Math.cos(angle);
        double y = lower ? 0.5 - Math.sin(angle) : Math.sin(angle);
        points[2 * i] = (float) (x + NOISE * random.nextGaussian());
        points[2 * i + 1] = (float) (y + NOISE * random.nextGaussian());
        labels[i] = lower ? 1 : -1;
      }
      return new Moons(points, labels);
    }

    Tensor x() {
      return Tensor.of(points, labels.length, 2);
    }
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    expression(lesson);
    Moons moons = Moons.of(POINTS, lesson.random(1));
    Moons fresh = Moons.of(FRESH_POINTS, lesson.random(2));
    int steps = lesson.choose(300, 100);
    try (var network = new Network(Weights.seeded(lesson.setup().seed()));
        var optimizer =
            new Sgd(
                ParameterGroup.of(network.parameters(), DECAY),
                Schedule.linear(0.5, 0.05, 0, steps))) {
      lesson.say("moons: %d parameters in 33 neurons", network.parameterCount());
      var _ = lesson.train(steps, optimizer, _ -> hinge(network, moons));
      double training = accuracy(network, moons);
      double test = accuracy(network, fresh);
      lesson.say(
          "accuracy %.1f %% on the %d points, %.1f %% on %d fresh ones",
          100 * training, POINTS, 100 * test, FRESH_POINTS);
      lesson.figure("moonsAccuracy", training);
      lesson.figure("moonsFreshAccuracy", test);
      lesson.picture("moons", picture(network, moons));
    }
  }

  /// The expression that micrograd's own page shows.
  private static void expression(Lesson lesson) {
    try (var _ = Scope.open()) {
      Tensor a = Tensor.scalar(-4).requiresGrad(true);
      Tensor b = Tensor.scalar(2).requiresGrad(true);
      Tensor c = a.add(b);
      Tensor d = a.mul(b).add(b.pow(3));
      c = c.add(c.add(1));
      c = c.add(c.add(1).sub(a));
      d = d.add(d.mul(2).add(b.add(a).relu()));
      d = d.add(d.mul(3).add(b.sub(a).relu()));
      Tensor e = c.sub(d);
      Tensor f = e.square();
      Tensor g = f.div(2);
      g = g.add(f.reciprocal().mul(10));
      double value = g.item();
      g.backward();
      double da = Objects.requireNonNull(a.grad()).item();
      double db = Objects.requireNonNull(b.grad()).item();
      lesson.say("g = %.4f, dg/da = %.4f, dg/db = %.4f", value, da, db);
      lesson.figure("g", value);
      lesson.figure("gradientA", da);
      lesson.figure("gradientB", db);
    }
  }

  /// The mean of `max(0, 1 − label·score)`.
  private static Tensor hinge(Network network, Moons moons) {
    Tensor label = Tensor.of(moons.labels());
    return network.score(moons.x()).mul(label).neg().add(1).relu().mean();
  }

  private static double accuracy(Network network, Moons moons) {
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      float[] scores = network.score(moons.x()).toFloatArray();
      int right = 0;
      for (int i = 0; i < scores.length; i++) {
        right += scores[i] * moons.labels()[i] > 0 ? 1 : 0;
      }
      return (double) right / scores.length;
    }
  }

  private static Picture picture(Network network, Moons moons) {
    float[] field = Plot.field(-1.6, 2.6, -1.1, 1.6);
    boolean[] upper;
    try (var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      upper = network.score(Tensor.of(field, field.length / 2, 2)).gt(0).toBooleanArray();
    }
    int n = moons.labels().length;
    double[] xs = new double[n];
    double[] ys = new double[n];
    boolean[] second = new boolean[n];
    for (int i = 0; i < n; i++) {
      xs[i] = moons.points()[2 * i];
      ys[i] = moons.points()[2 * i + 1];
      second[i] = moons.labels()[i] > 0;
    }
    return new Plot("Two moons and what the network makes of the plane", "x", "y")
        .background(field, upper)
        .classes("first moon", "second moon", xs, ys, second);
  }
}
