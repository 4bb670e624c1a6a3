package fornax.cli;

import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// What all commands share. A command returns its exit code.
abstract class Command implements Callable<Integer> {
  @Option(names = "--verbose", order = 98, description = "Show where an error arose.")
  boolean verbose;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      order = 99,
      description = "Show this help.")
  boolean help;

  /// The value of an option that must be given, which picocli has made sure of.
  static <T> T required(@Nullable T value) {
    return Objects.requireNonNull(value);
  }

  /// The value of an option, or what is taken where it is not given.
  static <T> T or(@Nullable T given, T otherwise) {
    return given == null ? otherwise : given;
  }
}
