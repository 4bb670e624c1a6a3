package fornax.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/// The numbers that options take. An error names what was given and what is needed.
final class Numbers {
  private Numbers() {}

  /// At least 1.
  static final class Count implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return (int) whole(text, 1, Integer.MAX_VALUE);
    }
  }

  /// At least 0.
  static final class CountOrZero implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return (int) whole(text, 0, Integer.MAX_VALUE);
    }
  }

  /// 1 to 1,024.
  static final class Threads implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return (int) whole(text, 1, 1024);
    }
  }

  /// At least 0.
  static final class Seed implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      return whole(text, 0, Long.MAX_VALUE);
    }
  }

  /// Above 0.
  static final class Positive implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      double value = real(text, "above 0");
      return value > 0 ? value : fail(text, "a number above 0");
    }
  }

  /// At least 0.
  static final class NotNegative implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      double value = real(text, "of at least 0");
      return value >= 0 ? value : fail(text, "a number of at least 0");
    }
  }

  /// At least 0 and below 1.
  static final class BelowOne implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      double value = real(text, "of at least 0 and below 1");
      return value >= 0 && value < 1 ? value : fail(text, "a number of at least 0 and below 1");
    }
  }

  /// Above 0 and at most 1.
  static final class Share implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      double value = real(text, "above 0 and at most 1");
      return value > 0 && value <= 1 ? value : fail(text, "a number above 0 and at most 1");
    }
  }

  private static long whole(String text, long least, long most) {
    try {
      long value = Long.parseLong(text);
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException _) {
      // reported below
    }
    throw new TypeConversionException(
        most < Integer.MAX_VALUE
            ? "got " + text + "; need a whole number from " + least + " to " + most
            : text.matches("\\+?[0-9]{10,}")
                ? "got " + text + "; need a whole number of at most " + most
                : "got " + text + "; need a whole number of at least " + least);
  }

  private static double real(String text, String need) {
    try {
      double value = Double.parseDouble(text);
      if (Double.isFinite(value)) {
        return value;
      }
    } catch (NumberFormatException _) {
      // reported below
    }
    return fail(text, "a number " + need);
  }

  private static double fail(String text, String need) {
    throw new TypeConversionException("got " + text + "; need " + need);
  }
}
