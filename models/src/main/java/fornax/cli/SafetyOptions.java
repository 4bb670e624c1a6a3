package fornax.cli;

import fornax.backend.Backend;
import fornax.train.Trainer;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/// What training does when numbers or memory go wrong.
final class SafetyOptions {
  static final String LIMIT_DESCRIPTION =
      "The most memory of the device to hold, such as 500m or 8g (powers of 1,024). Default: nine"
          + " tenths of the machine's, or what the card has free.";

  @Option(
      names = "--check-numerics",
      order = 1,
      description =
          "Watch every operation: the first NaN or infinity ends the run and is named with its"
              + " operation, layer, shape and line. Slow; makes no other difference.")
  boolean checkNumerics;

  @Option(
      names = "--skip-nonfinite",
      paramLabel = "N",
      order = 2,
      converter = Numbers.CountOrZero.class,
      description =
          "Pass over up to N steps in a row whose loss or gradients are not finite: they change"
              + " nothing. One more ends the run; its last checkpoint stays. Default: 0.")
  int skip;

  @Option(
      names = "--memory-limit",
      paramLabel = "BYTES",
      order = 3,
      converter = Bytes.class,
      description = LIMIT_DESCRIPTION)
  @Nullable Long memoryLimit;

  /// Tells the device and the trainer.
  void apply(Trainer trainer) {
    trainer.watch(new Trainer.Watch(skip, checkNumerics));
  }

  void apply(Backend backend) {
    if (memoryLimit != null) {
      backend.memory().setLimit(memoryLimit);
    }
  }

  /// A number of bytes, with k, m, g or t behind it.
  static final class Bytes implements ITypeConverter<Long> {
    private static final String UNITS = "kmgt";

    @Override
    public Long convert(String text) {
      String lower = text.toLowerCase(Locale.ROOT);
      int unit = lower.isEmpty() ? -1 : UNITS.indexOf(lower.charAt(lower.length() - 1));
      try {
        String digits = unit < 0 ? lower : lower.substring(0, lower.length() - 1);
        long bytes = Math.multiplyExact(Long.parseLong(digits), 1L << 10 * (unit + 1));
        if (bytes > 0) {
          return bytes;
        }
      } catch (NumberFormatException | ArithmeticException _) {
        // reported below
      }
      throw new TypeConversionException(
          "got " + text + "; need a number of bytes above 0, such as 500m or 8g");
    }
  }
}
