package fornax.cli;

import fornax.nn.Precision;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// What `fornax bench` runs. The benchmarks provide it through `ServiceLoader`, for this module may
/// not know them. Each method returns an exit code, and throws [UserException] where it is asked
/// for what it cannot do.
public interface BenchRunner {
  /// What all ways of running share.
  ///
  /// @param device `auto`, or a device's id
  /// @param quick whether to measure for a shorter time
  /// @param out takes results
  /// @param err takes everything said on the way
  record Setup(String device, boolean quick, PrintStream out, PrintStream err) {}

  /// Times whole training steps and prints one line.
  ///
  /// @param shape a configuration's name, or its sizes
  /// @param precision what the model computes in
  /// @param steps how many steps to time; null: as many as take a few seconds
  int train(Setup setup, String shape, Precision precision, @Nullable Integer steps);

  /// Runs the suites whose name `regex` is found in and prints a table.
  ///
  /// @param json takes the results as well; null: no file
  /// @throws IOException if `json` cannot be written
  int suites(Setup setup, String regex, @Nullable Path json) throws IOException;

  /// Measures what must be measured first on a GPU, into one file.
  ///
  /// @throws IOException if `file` cannot be written
  int report(Setup setup, Path file) throws IOException;

  /// Compares the hot paths with the committed baseline.
  ///
  /// @param accept whether to make what is measured the new baseline
  /// @throws IOException if the baseline cannot be read or written
  int guard(Setup setup, boolean accept) throws IOException;
}
