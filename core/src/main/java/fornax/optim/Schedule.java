package fornax.optim;

/// The learning rate as a function of the step, counted from 0.
///
/// Warm-up, where there is one, is linear: `peak·(step + 1)/warmup` in the first `warmup` steps.
@FunctionalInterface
public interface Schedule {
  /// The rate of step `step`.
  double rate(long step);

  /// The same rate always.
  ///
  /// @throws IllegalArgumentException if the rate is negative or not finite
  static Schedule constant(double rate) {
    return new Constant(rate);
  }

  /// Warm-up to `peak`, then half a cosine down to `floor`, which is reached after `steps` steps
  /// and kept: nanoGPT's.
  ///
  /// @throws IllegalArgumentException unless `0 <= floor <= peak` and `0 <= warmup <= steps`
  static Schedule cosine(double peak, double floor, long warmup, long steps) {
    return new Cosine(peak, floor, warmup, steps);
  }

  /// Warm-up to `peak`, then a straight line down to `floor`, which is reached after `steps` steps
  /// and kept.
  ///
  /// @throws IllegalArgumentException unless `0 <= floor <= peak` and `0 <= warmup <= steps`
  static Schedule linear(double peak, double floor, long warmup, long steps) {
    return new Linear(peak, floor, warmup, steps);
  }

  /// Warm-up to `peak`, which is kept until the last `decay` of `steps` steps, then a straight line
  /// down to `floor`, which is kept. Source: arXiv:2404.06395 §4.
  ///
  /// @throws IllegalArgumentException unless `0 <= floor <= peak` and `0 <= warmup <= steps −
  ///   decay`
  static Schedule warmupStableDecay(
      double peak, double floor, long warmup, long decay, long steps) {
    return new WarmupStableDecay(peak, floor, warmup, decay, steps);
  }

  /// See [#constant(double)].
  record Constant(double rate) implements Schedule {
    public Constant {
      Checks.rate("rate", rate);
    }

    @Override
    public double rate(long step) {
      return rate;
    }
  }

  /// See [#cosine(double, double, long, long)].
  record Cosine(double peak, double floor, long warmup, long steps) implements Schedule {
    public Cosine {
      Checks.decline(peak, floor, warmup, steps);
    }

    @Override
    public double rate(long step) {
      if (step < warmup) {
        return peak * (step + 1) / warmup;
      }
      if (step >= steps) {
        return floor;
      }
      double done = (double) (step - warmup) / (steps - warmup);
      return floor + 0.5 * (1 + StrictMath.cos(Math.PI * done)) * (peak - floor);
    }
  }

  /// See [#linear(double, double, long, long)].
  record Linear(double peak, double floor, long warmup, long steps) implements Schedule {
    public Linear {
      Checks.decline(peak, floor, warmup, steps);
    }

    @Override
    public double rate(long step) {
      if (step < warmup) {
        return peak * (step + 1) / warmup;
      }
      if (step >= steps) {
        return floor;
      }
      return peak - (peak - floor) * (step - warmup) / (steps - warmup);
    }
  }

  /// See [#warmupStableDecay(double, double, long, long, long)].
  record WarmupStableDecay(double peak, double floor, long warmup, long decay, long steps)
      implements Schedule {
    public WarmupStableDecay {
      Checks.decline(peak, floor, warmup, steps);
      if (decay < 0 || decay > steps - warmup) {
        throw new IllegalArgumentException(
            "schedule: decay does not fit; got decay "
                + decay
                + ", warmup "
                + warmup
                + " and steps "
                + steps
                + "; need 0 <= decay <= steps - warmup");
      }
    }

    @Override
    public double rate(long step) {
      if (step < warmup) {
        return peak * (step + 1) / warmup;
      }
      long start = steps - decay;
      if (step < start) {
        return peak;
      }
      return step >= steps ? floor : peak - (peak - floor) * (step - start) / decay;
    }
  }
}
