package fornax.models.learn;

import fornax.data.Mnist;
import fornax.nn.Initializer;
import fornax.nn.Linear;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import java.io.IOException;

/// Ten linear scores and a softmax tell handwritten digits apart.
final class SoftmaxRegression implements Rung {
  private static final int BATCH = 200;
  private static final int CLASSES = 10;

  @Override
  public String name() {
    return "softmax";
  }

  @Override
  public String title() {
    return "softmax regression: ten linear scores for ten digits (MNIST)";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    Mnist mnist = Mnist.load(lesson.setup().data());
    int epochs = lesson.choose(12, 3);
    int images = lesson.choose(mnist.training().size(), 10_000);
    Linear.Options zeros =
        Linear.Options.DEFAULT.withWeight(Initializer.zeros()).withBias(Initializer.zeros());
    try (var model =
            new Linear(Weights.seeded(lesson.setup().seed()), Mnist.PIXELS, CLASSES, zeros);
        var optimizer =
            new AdamW(
                ParameterGroup.of(model.parameters(), 0),
                Schedule.cosine(3e-3, 0, 0, epochs * images / BATCH))) {
      var digits = new DigitTraining(mnist, model, model::forward);
      var _ = digits.fit(lesson, optimizer, epochs, images, BATCH);
      int[] classes = digits.classifyTest(lesson);
      double accuracy = digits.accuracy(classes);
      lesson.say(
          "%,d parameters, %d passes: right about %.2f %% of %,d test images",
          model.parameterCount(), epochs, 100 * accuracy, classes.length);
      lesson.figure("testAccuracy", accuracy);
      lesson.figure("parameters", model.parameterCount());
      lesson.picture("softmax", weights(model));
    }
  }

  /// The weights of each digit as an image: blue speaks for it, red against it.
  private static Picture weights(Linear model) {
    float[] all = model.weight().toFloatArray(); // [784, 10]
    Tiles tiles = new Tiles("The weight of each pixel: blue for the digit, red against", 5, 4);
    for (int digit = 0; digit < CLASSES; digit++) {
      float[] values = new float[Mnist.PIXELS];
      for (int p = 0; p < Mnist.PIXELS; p++) {
        values[p] = all[p * CLASSES + digit];
      }
      tiles = tiles.add(Integer.toString(digit), Mnist.SIDE, values);
    }
    return tiles;
  }
}
