package fornax.benchmarks;

import java.util.Arrays;

/// Measures which part of the machine's limit work reaches on one thread, in the processor time of
/// that thread: other processes that take the processor away then don't count. What they do to
/// caches, to a core that is shared and to the clock rate does, so rounds measure the limits and
/// the work in turn, in pieces of the same length, and divide one by the other. The median round
/// counts.
final class FractionMeter {
  private static final long LONGEST_PIECE = 5_000_000;
  private static final long BATCH_NANOS = 100_000; // far above what reading the clock takes

  private static final int SETTLED_ROUNDS = 3;
  private static final double SETTLED = 0.97;

  private final int rounds;
  private final long roundNanos;
  private final long warmupNanos;
  private final Clock clock = Clock.ownProcessor();

  /// @param rounds of limits and work in turn
  /// @param roundNanos for the work, in each
  /// @param warmupNanos of a round of the warm-up
  FractionMeter(int rounds, long roundNanos, long warmupNanos) {
    this.rounds = rounds;
    this.roundNanos = roundNanos;
    this.warmupNanos = warmupNanos;
  }

  /// About a second for each path.
  static FractionMeter quick() {
    return new FractionMeter(25, 10_000_000, 100_000_000);
  }

  /// About six seconds for each path.
  static FractionMeter thorough() {
    return new FractionMeter(101, 20_000_000, 400_000_000);
  }

  /// The time that the machine's limits allow as a part of the time that `subject` takes.
  double fraction(Subject subject) {
    Work work = subject.work();
    try (var roofline = new Roofline(1, clock, work.workingSet())) {
      int batch = warmUp(subject);
      long piece = (long) Math.min(LONGEST_PIECE, batch * bestOf(subject, batch, roundNanos));
      double[] fractions = new double[rounds];
      for (int i = 0; i < rounds; i++) {
        double ideal = roofline.probe(piece).idealNanos(work);
        fractions[i] = ideal / bestOf(subject, batch, roundNanos);
      }
      Arrays.sort(fractions);
      return fractions[rounds / 2];
    }
  }

  // Runs until rounds of work get no faster, several times over: a compiler's thread gets no more
  // of the processor than this one, and what it is at may take a few rounds. Returns how many calls
  // take long enough to be timed together.
  private int warmUp(Subject subject) {
    double best = bestOf(subject, 1, warmupNanos);
    for (int settled = 0; settled < SETTLED_ROUNDS; settled++) {
      double next = bestOf(subject, batch(best), warmupNanos);
      if (next < SETTLED * best) {
        settled = -1;
      }
      best = Math.min(best, next);
    }
    return batch(best);
  }

  private static int batch(double nanos) {
    return (int) Math.max(1, Math.ceil(BATCH_NANOS / nanos));
  }

  // The least time of one call, over `duration`, where `batch` calls are timed together.
  private double bestOf(Subject subject, int batch, long duration) {
    long best = Long.MAX_VALUE;
    long start = clock.nanos();
    long now = start;
    do {
      long before = now;
      for (int i = 0; i < batch; i++) {
        subject.run();
      }
      now = clock.nanos();
      best = Math.min(best, now - before);
    } while (now - start < duration);
    return (double) best / batch;
  }
}
