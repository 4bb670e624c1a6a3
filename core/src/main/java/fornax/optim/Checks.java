package fornax.optim;

/// Checks of hyperparameters.
final class Checks {
  private Checks() {}

  static void rate(String name, double value) {
    if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          name + ": not usable; got " + value + "; need a number of at least 0");
    }
  }

  static void fraction(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(
          name + ": not usable; got " + value + "; need 0 <= " + name + " < 1");
    }
  }

  static void decline(double peak, double floor, long warmup, long steps) {
    rate("peak", peak);
    rate("floor", floor);
    if (floor > peak) {
      throw new IllegalArgumentException(
          "schedule: rises at the end; got peak "
              + peak
              + " and floor "
              + floor
              + "; need floor <= peak");
    }
    if (warmup < 0 || warmup > steps) {
      throw new IllegalArgumentException(
          "schedule: warm-up does not fit; got warmup "
              + warmup
              + " and steps "
              + steps
              + "; need 0 <= warmup <= steps");
    }
  }
}
