package fornax.models.learn;

import fornax.backend.Conv2dOptions;
import fornax.data.Mnist;
import fornax.nn.Activation;
import fornax.nn.BatchNorm;
import fornax.nn.Conv2d;
import fornax.nn.Flatten;
import fornax.nn.Linear;
import fornax.nn.MaxPool2d;
import fornax.nn.Sequential;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.util.Arrays;

/// Convolution by hand, edges found by two filters, and a small network of filters that it learns.
final class Convnet implements Rung {
  private static final int BATCH = 100;
  private static final float[] UPRIGHT_EDGES = {-1, 0, 1, -2, 0, 2, -1, 0, 1}; // Sobel's
  private static final float[] LEVEL_EDGES = {-1, -2, -1, 0, 0, 0, 1, 2, 1};
  private static final Conv2dOptions SAME = Conv2dOptions.DEFAULT.withPadding(1);

  @Override
  public String name() {
    return "convnet";
  }

  @Override
  public String title() {
    return "convolution, edge filters, and a small convolutional network on MNIST";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    crossCorrelation(lesson);
    Mnist mnist = Mnist.load(lesson.setup().data());
    Picture edges = edges(mnist);
    int epochs = lesson.choose(5, 1);
    int images = lesson.choose(mnist.training().size(), 3000);
    try (var model = network(Weights.seeded(lesson.setup().seed()));
        var optimizer =
            new AdamW(
                ParameterGroup.decayMatrices(model.parameters(), 0.01),
                Schedule.cosine(3e-3, 0, 0, epochs * images / BATCH))) {
      var digits = new DigitTraining(mnist, model, x -> model.forward(image(x)));
      var _ = digits.fit(lesson, optimizer, epochs, images, BATCH);
      int[] classes = digits.classifyTest(lesson);
      double accuracy = digits.accuracy(classes);
      lesson.say(
          "%,d parameters, %d passes: right about %.2f %% of %,d test images",
          model.parameterCount(), epochs, 100 * accuracy, classes.length);
      lesson.figure("testAccuracy", accuracy);
      lesson.figure("parameters", model.parameterCount());
      lesson.picture("edges", edges);
      lesson.picture("mistakes", digits.mistakes(classes, 10));
    }
  }

  /// `[1, 2, 3] ⋆ [1, 2, 3, 4, 5]`: the filter slides, it is not turned round.
  private static void crossCorrelation(Lesson lesson) {
    try (var _ = Scope.open()) {
      Tensor signal = Tensor.of(new float[] {1, 2, 3, 4, 5}, 1, 1, 1, 5); // [N, C, H, W]
      Tensor filter = Tensor.of(new float[] {1, 2, 3}, 1, 1, 1, 3); // [out, in, h, w]
      float[] y = signal.conv2d(filter, null).toFloatArray();
      lesson.say("[1, 2, 3] ⋆ [1, 2, 3, 4, 5] = %s", Arrays.toString(y));
      for (int i = 0; i < y.length; i++) {
        lesson.figure("correlation" + i, y[i]);
      }
    }
  }

  /// `[N, 784] → [N, 1, 28, 28]`.
  private static Tensor image(Tensor x) {
    return x.reshape(x.dim(0), 1, Mnist.SIDE, Mnist.SIDE);
  }

  /// Two convolutions, each with normalisation, ReLU and pooling, and a linear layer. Shapes: `[N,
  /// 1, 28, 28] → [N, 16, 14, 14] → [N, 32, 7, 7] → [N, 10]`.
  private static Sequential network(Weights weights) {
    return new Sequential(
        new Conv2d(weights, 1, 16, 3, SAME),
        new BatchNorm(weights, 16),
        Activation.relu(),
        new MaxPool2d(2),
        new Conv2d(weights, 16, 32, 3, SAME),
        new BatchNorm(weights, 32),
        Activation.relu(),
        new MaxPool2d(2),
        new Flatten(),
        new Linear(weights, 32 * 7 * 7, 10));
  }

  /// A test image and what two filters by hand see in it.
  private static Picture edges(Mnist mnist) {
    float[] digit = mnist.test().images(new int[] {0});
    try (var _ = Scope.open()) {
      Tensor x = image(Tensor.of(digit, 1, Mnist.PIXELS));
      float[] upright = x.conv2d(filter(UPRIGHT_EDGES), null, SAME).toFloatArray();
      float[] level = x.conv2d(filter(LEVEL_EDGES), null, SAME).toFloatArray();
      return new Tiles("Edges by convolution: blue from paper to ink, red back", 3, 8)
          .add("a " + mnist.test().label(0), Mnist.SIDE, digit)
          .add("upright edges, left to right", Mnist.SIDE, upright)
          .add("level edges, top to bottom", Mnist.SIDE, level);
    }
  }

  private static Tensor filter(float[] values) {
    return Tensor.of(values, 1, 1, 3, 3);
  }
}
