package fornax.benchmarks;

import fornax.backend.Backend;
import fornax.nn.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/// Times training steps and says it in the one line that comparisons read.
final class TrainingTimer {
  private static final int LEAST_STEPS = 6;
  private static final int MOST_STEPS = 200;
  private static final long TIMED_NANOS = 8_000_000_000L;

  // The warm-up ends when a round of steps is no faster than the rounds before it: then everything
  // is compiled and the memory pool is full.
  private static final int LEAST_ROUND = 3;
  private static final long ROUND_NANOS = 1_500_000_000L;
  private static final long MOST_WARMUP_NANOS = 40_000_000_000L;
  private static final double SETTLED = 0.98;

  private TrainingTimer() {}

  /// Steps of `shape` on `backend`, after a warm-up.
  ///
  /// @param steps how many; null: as many as take about eight seconds
  static String line(
      Backend backend, TrainingShape shape, Precision precision, @Nullable Integer steps) {
    try (var training = new TrainingStep(backend, shape, precision)) {
      // The CPU's calls return when their work is done. Elsewhere waits between the parts of a step
      // would slow it down, so the parts are those of further steps.
      boolean enqueues = !backend.id().startsWith("cpu");
      long best = warmUp(() -> training.run(false));
      int count = steps != null ? steps : Math.clamp(TIMED_NANOS / best, LEAST_STEPS, MOST_STEPS);
      List<TrainingStep.Times> timed = times(() -> training.run(false), count);
      List<TrainingStep.Times> parts =
          enqueues ? times(() -> training.run(true), Math.min(count, LEAST_STEPS)) : timed;
      double loss = training.loss();
      if (!Double.isFinite(loss)) {
        throw new IllegalStateException("bench: the loss became " + loss + "; need a finite one");
      }
      return line(shape.tokens(), timed, parts);
    }
  }

  /// Runs steps until they get no faster; returns the fastest one's time.
  static long warmUp(Supplier<TrainingStep.Times> step) {
    long best = Long.MAX_VALUE;
    long all = 0;
    while (true) {
      long bestBefore = best;
      long round = 0;
      for (int i = 0; i < LEAST_ROUND || round < ROUND_NANOS; i++) {
        long nanos = step.get().total();
        best = Math.min(best, nanos);
        round += nanos;
      }
      all += round;
      boolean settled = bestBefore != Long.MAX_VALUE && best > SETTLED * bestBefore;
      if (settled || all > MOST_WARMUP_NANOS) {
        return best;
      }
    }
  }

  private static List<TrainingStep.Times> times(Supplier<TrainingStep.Times> step, int count) {
    List<TrainingStep.Times> times = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      times.add(step.get());
    }
    return times;
  }

  /// `tok/s best 26741 median 24338 ms/step 31.6 (fwd 11.3 bwd 18.7 opt 1.4)`; all but the first
  /// are medians, and those of the parts need not add up to the step's.
  static String line(int tokens, List<TrainingStep.Times> steps, List<TrainingStep.Times> parts) {
    long best = steps.stream().mapToLong(TrainingStep.Times::total).min().orElseThrow();
    double median = median(steps, TrainingStep.Times::total);
    return String.format(
        Locale.ROOT,
        "tok/s best %.0f median %.0f ms/step %.1f (fwd %.1f bwd %.1f opt %.1f)",
        tokens * 1e9 / best,
        tokens * 1e9 / median,
        median / 1e6,
        median(parts, TrainingStep.Times::forwardNanos) / 1e6,
        median(parts, TrainingStep.Times::backwardNanos) / 1e6,
        median(parts, TrainingStep.Times::updateNanos) / 1e6);
  }

  private static double median(
      List<TrainingStep.Times> times, ToLongFunction<TrainingStep.Times> part) {
    long[] sorted = times.stream().mapToLong(part).sorted().toArray();
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1
        ? sorted[middle]
        : Arrays.stream(sorted, middle - 1, middle + 1).average().orElseThrow();
  }
}
