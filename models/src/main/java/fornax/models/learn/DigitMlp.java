package fornax.models.learn;

import fornax.data.Mnist;
import fornax.models.mlp.Mlp;
import fornax.models.mlp.MlpConfig;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import java.io.IOException;

/// A network of three layers reads handwritten digits.
public final class DigitMlp implements Rung {
  /// The file of the trained network in the run's folder.
  public static final String MODEL_FILE = "model.safetensors";

  /// 784 pixels, hidden layers of 128 and 64, ten digits.
  public static final MlpConfig SIZES = MlpConfig.of(Mnist.PIXELS, 128, 64, 10);

  private static final int BATCH = 100;

  DigitMlp() {}

  @Override
  public String name() {
    return "mnist";
  }

  @Override
  public String title() {
    return "the network 784-128-64-10 with ReLU reads handwritten digits (MNIST)";
  }

  @Override
  public void run(Lesson lesson) throws IOException {
    Mnist mnist = Mnist.load(lesson.setup().data());
    int epochs = lesson.choose(10, 2);
    int images = lesson.choose(mnist.training().size(), 10_000);
    try (var model = new Mlp(SIZES, Weights.seeded(lesson.setup().seed()));
        var optimizer =
            new AdamW(
                ParameterGroup.of(model.parameters(), 0.01),
                Schedule.cosine(2e-3, 0, 0, epochs * images / BATCH))) {
      var digits = new DigitTraining(mnist, model, model::logits);
      Lesson.Curve curve = digits.fit(lesson, optimizer, epochs, images, BATCH);
      int[] classes = digits.classifyTest(lesson);
      double accuracy = digits.accuracy(classes);
      model.save(lesson.setup().folder().resolve(MODEL_FILE));
      lesson.say(
          "%,d parameters, %d passes: right about %.2f %% of %,d test images",
          model.parameterCount(), epochs, 100 * accuracy, classes.length);
      lesson.say(
          "try it on a drawing: ./fornax predict IMAGE.png --checkpoint %s",
          lesson.setup().folder());
      lesson.figure("testAccuracy", accuracy);
      lesson.figure("parameters", model.parameterCount());
      lesson.picture(
          "mnist",
          Picture.beside(
              new Plot("Training loss", "step", "cross entropy (nats)")
                  .line("training", curve.steps(), curve.losses(), Plot.BLUE)
                  .logarithmic(false, true)
                  .withoutLegend(),
              digits.mistakes(classes, 10)));
    }
  }
}
