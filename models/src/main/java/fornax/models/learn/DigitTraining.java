package fornax.models.learn;

import fornax.data.Mnist;
import fornax.nn.Module;
import fornax.optim.Optimizer;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.util.Arrays;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/// What the classifiers of digits share: batches in random order, and counting what is right.
///
/// @param logits `[N, 784]` to `[N, 10]`
record DigitTraining(Mnist mnist, Module model, UnaryOperator<Tensor> logits) {
  private static final int TEST_BATCH = 1000;

  /// Passes over the training images, each time in another order.
  Lesson.Curve fit(Lesson lesson, Optimizer optimizer, int epochs, int images, int batch) {
    int perEpoch = images / batch;
    int[] order = range(0, mnist.training().size());
    Random random = lesson.random(1);
    return lesson.train(
        epochs * perEpoch,
        optimizer,
        step -> {
          int at = step % perEpoch;
          if (at == 0) {
            shuffle(order, random);
          }
          int[] chosen = Arrays.copyOfRange(order, at * batch, (at + 1) * batch);
          return logits
              .apply(x(mnist.training(), chosen))
              .crossEntropy(Tensor.of(mnist.training().labels(chosen)));
        });
  }

  private static Tensor x(Mnist.Digits digits, int[] chosen) {
    return Tensor.of(digits.images(chosen), chosen.length, Mnist.PIXELS);
  }

  /// What the model takes the test images for, in their order; in a short run, the first of them.
  int[] classifyTest(Lesson lesson) {
    int[] classes = new int[lesson.choose(mnist.test().size(), 2 * TEST_BATCH)];
    model.eval();
    for (int start = 0; start < classes.length; start += TEST_BATCH) {
      int end = Math.min(classes.length, start + TEST_BATCH);
      try (var _ = GradMode.noGrad();
          var _ = Scope.open()) {
        int[] part = logits.apply(x(mnist.test(), range(start, end))).argmax(-1).toIntArray();
        System.arraycopy(part, 0, classes, start, part.length);
      }
    }
    model.train();
    return classes;
  }

  /// The share of these test images for which `classes` is right.
  double accuracy(int[] classes) {
    int right = 0;
    for (int i = 0; i < classes.length; i++) {
      right += classes[i] == mnist.test().label(i) ? 1 : 0;
    }
    return (double) right / classes.length;
  }

  /// The first test images that `classes` is wrong about.
  Picture mistakes(int[] classes, int count) {
    Tiles tiles = new Tiles("Test images it took for another digit", count / 2, 3);
    int shown = 0;
    for (int i = 0; i < classes.length && shown < count; i++) {
      if (classes[i] != mnist.test().label(i)) {
        shown++;
        tiles =
            tiles.add(
                mnist.test().label(i) + " as " + classes[i],
                Mnist.SIDE,
                mnist.test().images(new int[] {i}));
      }
    }
    return tiles;
  }

  static int[] range(int from, int to) {
    return IntStream.range(from, to).toArray();
  }

  static void shuffle(int[] values, Random random) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
  }
}
