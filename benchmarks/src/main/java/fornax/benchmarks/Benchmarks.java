package fornax.benchmarks;

import fornax.backend.Backends;
import fornax.cli.BenchRunner;
import fornax.cli.UserException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// What `fornax bench` runs.
public final class Benchmarks implements BenchRunner {
  private static final String SOFTWARE_CUDA = "software CUDA"; // in that device's name

  /// For the service loader.
  public Benchmarks() {}

  @Override
  public int train(Setup setup, String shape, String precision, @Nullable Integer steps) {
    TrainingShape parsed = TrainingShape.parse(shape);
    if (!precision.equals("f32")) {
      throw new UserException(
          "bench: "
              + (precision.equals("bf16") ? "models do not train in bf16 yet" : "unknown precision")
              + "; got --precision "
              + precision
              + "; need f32");
    }
    Backends.Opened opened = open(setup);
    try (var backend = opened.backend()) {
      setup.out().println(TrainingTimer.line(backend, parsed, steps));
    }
    return 0;
  }

  @Override
  public int suites(Setup setup, String regex, @Nullable Path json) {
    throw new UserException("bench: no suites yet; need --train");
  }

  @Override
  public int guard(Setup setup, boolean accept) {
    throw new UserException("bench: no guard yet; need --train");
  }

  /// Opens the device and says which one it is.
  ///
  /// @throws UserException if it only pretends to be one: its speed says nothing
  private static Backends.Opened open(Setup setup) {
    Backends.Opened opened = Backends.open(setup.device());
    if (opened.device().name().contains(SOFTWARE_CUDA)) {
      opened.backend().close();
      throw new UserException(
          "bench: not a device to measure; got "
              + setup.device()
              + ", "
              + opened.device().name()
              + "; need real hardware, or --device cpu");
    }
    setup.err().println(opened.reason());
    return opened;
  }
}
