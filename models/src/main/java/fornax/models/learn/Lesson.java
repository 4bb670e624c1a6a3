package fornax.models.learn;

import com.google.errorprone.annotations.FormatMethod;
import com.google.errorprone.annotations.FormatString;
import fornax.optim.GradientClip;
import fornax.optim.Optimizer;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.SequencedMap;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/// One run of a [Rung]: what it may use, and what it found.
///
/// A rung says its result in words ([#say]), gives each figure a name ([#figure], [#list]) and
/// draws ([#picture]). All random numbers come from the seed.
public final class Lesson {
  private static final int CURVE_POINTS = 100;

  private final Setup setup;
  private final Listener listener;
  private final List<String> words = new ArrayList<>();
  private final SequencedMap<String, Double> figures = new LinkedHashMap<>();
  private final SequencedMap<String, List<String>> lists = new LinkedHashMap<>();
  private final List<Path> pictures = new ArrayList<>();

  /// What a run was asked for.
  ///
  /// @param folder where pictures and models go
  /// @param data the folder with MNIST's files; null: they come from npm
  /// @param quick whether a short run will do, whose figures are worse
  public record Setup(Path folder, long seed, @Nullable Path data, boolean quick) {}

  /// Is told how training goes on.
  @FunctionalInterface
  public interface Listener {
    /// `step` of `steps` is done, with this loss (NaN where there is none).
    void stepped(int step, int steps, double loss);
  }

  /// A training loss at some of the steps.
  static final class Curve {
    private final double[] steps;
    private final double[] losses;

    private Curve(double[] steps, double[] losses) {
      this.steps = steps;
      this.losses = losses;
    }

    double[] steps() {
      return steps.clone();
    }

    double[] losses() {
      return losses.clone();
    }
  }

  public Lesson(Setup setup, Listener listener) {
    this.setup = setup;
    this.listener = listener;
  }

  public Setup setup() {
    return setup;
  }

  /// `full`, or `quick` in a short run.
  int choose(int full, int quick) {
    return setup.quick() ? quick : full;
  }

  /// Random numbers of the seed; each `stream` has its own.
  Random random(int stream) {
    return new Random(31 * setup.seed() + stream);
  }

  /// Takes `steps` optimiser steps on the losses that `loss` makes of a step's number.
  Curve train(int steps, Optimizer optimizer, IntFunction<Tensor> loss) {
    return train(steps, optimizer, null, loss);
  }

  /// The same with gradients clipped.
  Curve train(
      int steps, Optimizer optimizer, @Nullable GradientClip clip, IntFunction<Tensor> loss) {
    int every = Math.max(1, steps / CURVE_POINTS);
    List<Double> at = new ArrayList<>();
    List<Double> losses = new ArrayList<>();
    for (int step = 1; step <= steps; step++) {
      try (var _ = Scope.open()) {
        Tensor value = loss.apply(step - 1);
        value.backward();
        if (clip == null) {
          optimizer.step();
        } else {
          optimizer.step(clip.scale(optimizer.parameters()));
        }
        optimizer.zeroGrad();
        if (step % every == 0 || step == 1) {
          losses.add(value.item());
          at.add((double) step);
          listener.stepped(step, steps, losses.getLast());
        }
      }
    }
    return new Curve(doubles(at), doubles(losses));
  }

  /// Shows that `step` of `steps` is done, where [#train] does not.
  void stepped(int step, int steps) {
    listener.stepped(step, steps, Double.NaN);
  }

  private static double[] doubles(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }

  /// Adds lines to the result.
  @FormatMethod
  void say(@FormatString String format, Object... values) {
    String.format(Locale.ROOT, format, values).lines().forEach(words::add);
  }

  /// Gives a number of the result a name.
  void figure(String name, double value) {
    figures.put(name, value);
  }

  /// Gives texts of the result a name.
  void list(String name, List<String> values) {
    lists.put(name, List.copyOf(values));
  }

  /// Writes a picture into the run's folder.
  void picture(String name, Picture picture) throws IOException {
    Path file = setup.folder().resolve(name + ".png");
    picture.write(file);
    pictures.add(file);
  }

  /// The result in words.
  public List<String> words() {
    return Collections.unmodifiableList(words);
  }

  /// The numbers that were found.
  public Map<String, Double> figures() {
    return Collections.unmodifiableMap(figures);
  }

  /// The texts that were found.
  public Map<String, List<String>> lists() {
    return Collections.unmodifiableMap(lists);
  }

  /// The files that were drawn.
  public List<Path> pictures() {
    return Collections.unmodifiableList(pictures);
  }
}
