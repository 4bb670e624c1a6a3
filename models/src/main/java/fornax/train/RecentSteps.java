package fornax.train;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;

/// Losses and gradient norms of the last steps, and what is far from them.
final class RecentSteps {
  static final int CAPACITY = 100;

  private static final int FEWEST = 20; // to call a step after them unusual
  private static final double DEVIATIONS = 6; // chance alone gets there once in 10⁹ steps
  private static final double LEAST_DEVIATION = 0.01; // of the mean
  private static final double NORM_FACTOR = 10;

  private final Deque<Double> losses;
  private final Deque<Double> norms;

  RecentSteps(List<Double> losses, List<Double> norms) {
    this.losses = new ArrayDeque<>(losses);
    this.norms = new ArrayDeque<>(norms);
  }

  void add(double loss, double norm) {
    if (losses.size() == CAPACITY) {
      double _ = losses.removeFirst();
      double _ = norms.removeFirst();
    }
    losses.addLast(loss);
    norms.addLast(norm);
  }

  List<Double> losses() {
    return new ArrayList<>(losses);
  }

  List<Double> norms() {
    return new ArrayList<>(norms);
  }

  /// The mean of the last `count` losses, at most as many as there are; NaN of none.
  double meanLoss(int count) {
    double sum = 0;
    int summed = 0;
    for (Iterator<Double> i = losses.descendingIterator(); i.hasNext() && summed < count; ) {
      sum += i.next();
      summed++;
    }
    return sum / summed;
  }

  /// Whether a step with these is unlike the last 100, of which there must be 20: its loss is six
  /// standard deviations above their mean, its norm ten times theirs, or one of them not finite.
  boolean isSpike(double loss, double norm) {
    if (!Double.isFinite(loss) || !Double.isFinite(norm)) {
      return true;
    }
    if (losses.size() < FEWEST) {
      return false;
    }
    double mean = mean(losses);
    double squares = 0;
    for (double before : losses) {
      squares += Double.isFinite(before) ? (before - mean) * (before - mean) : 0;
    }
    double deviation = Math.max(Math.sqrt(squares / losses.size()), LEAST_DEVIATION * mean);
    return loss > mean + DEVIATIONS * deviation || norm > NORM_FACTOR * mean(norms);
  }

  /// Of those that are finite; infinite where none is, which nothing stands above.
  private static double mean(Collection<Double> values) {
    double sum = 0;
    int finite = 0;
    for (double value : values) {
      if (Double.isFinite(value)) {
        sum += value;
        finite++;
      }
    }
    return finite == 0 ? Double.POSITIVE_INFINITY : sum / finite;
  }
}
