package fornax.models.mlp;

import java.util.Arrays;
import java.util.List;

/// The sizes of an [Mlp]: inputs, hidden layers, classes.
public record MlpConfig(List<Integer> sizes) {
  /// @throws IllegalArgumentException if there are fewer than two sizes, or one is not positive
  public MlpConfig {
    sizes = List.copyOf(sizes);
    if (sizes.size() < 2 || sizes.stream().anyMatch(size -> size < 1)) {
      throw new IllegalArgumentException(
          "mlp: sizes not usable; got "
              + sizes
              + "; need at least inputs and classes, all of at least 1");
    }
  }

  /// `MlpConfig.of(784, 128, 64, 10)`: 784 inputs, hidden layers of 128 and 64, 10 classes.
  public static MlpConfig of(int... sizes) {
    return new MlpConfig(Arrays.stream(sizes).boxed().toList());
  }

  /// The number of inputs.
  public int inputs() {
    return sizes.getFirst();
  }

  /// The number of classes.
  public int classes() {
    return sizes.getLast();
  }

  /// The number of parameters, without making them.
  public long parameterCount() {
    long count = 0;
    for (int i = 1; i < sizes.size(); i++) {
      count = Math.addExact(count, (sizes.get(i - 1) + 1L) * sizes.get(i));
    }
    return count;
  }
}
