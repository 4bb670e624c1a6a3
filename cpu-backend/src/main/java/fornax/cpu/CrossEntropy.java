package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.backend.CrossEntropyOptions;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// Cross entropy and its gradient: a row of logits is read from memory once and stays in the cache
/// for the passes over it, and no probabilities are stored.
final class CrossEntropy {
  private static final int COST = 8; // of an element, in multiply-adds

  private CrossEntropy() {}

  static void forward(
      Workers workers,
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray losses,
      NdArray logSumExp) {
    int columns = Math.toIntExact(x.dim(1));
    Rows from = new Rows(x, columns, Scratch.ROWS);
    MemorySegment lossData = HostBlock.segment(losses);
    MemorySegment sumData = HostBlock.segment(logSumExp);
    long lossesAt = 4 * losses.layout().offset();
    long sumsAt = 4 * logSumExp.layout().offset();
    Rows.parallel(
        workers,
        x.dim(0),
        (long) COST * columns,
        row -> {
          int target = target(targets, row, options, columns);
          MemorySegment xs = from.read(row);
          long xo = from.at(row);
          float max = RowKernels.max(xs, xo, columns);
          float log = ScalarMath.log((float) RowKernels.sumExp(xs, xo, max, columns));
          sumData.set(JAVA_FLOAT, sumsAt + 4 * row, max + log);
          double loss = 0;
          if (target != options.ignoreIndex()) {
            double hit = (double) max - xs.get(JAVA_FLOAT, xo + 4L * target);
            loss = log + hit;
            if (options.smoothing() != 0) {
              double mean = (double) max - RowKernels.sum(xs, xo, columns) / columns;
              loss = log + (1 - options.smoothing()) * hit + options.smoothing() * mean;
            }
          }
          lossData.set(JAVA_FLOAT, lossesAt + 4 * row, (float) loss);
        });
  }

  static void gradient(
      Workers workers,
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    int columns = Math.toIntExact(x.dim(1));
    Rows from = new Rows(x, columns, Scratch.ROWS);
    Rows to = new Rows(dx, columns, Scratch.ROWS + 1);
    MemorySegment sumData = HostBlock.segment(logSumExp);
    MemorySegment scaleData = HostBlock.segment(dLosses);
    long sumsAt = 4 * logSumExp.layout().offset();
    float spread = (float) (options.smoothing() / columns);
    float rest = (float) (1 - options.smoothing());
    Rows.parallel(
        workers,
        x.dim(0),
        (long) COST * columns,
        row -> {
          int target = target(targets, row, options, columns);
          MemorySegment ds = to.write();
          long at = to.at(row);
          if (target == options.ignoreIndex()) {
            ds.asSlice(at, 4L * columns).fill((byte) 0);
          } else {
            MemorySegment xs = from.read(row);
            float scale = scaleData.get(JAVA_FLOAT, 4 * dLosses.layout().at(row));
            float sum = sumData.get(JAVA_FLOAT, sumsAt + 4 * row);
            RowKernels.crossEntropyGradient(xs, from.at(row), sum, spread, scale, ds, at, columns);
            long hit = at + 4L * target;
            ds.set(JAVA_FLOAT, hit, ds.get(JAVA_FLOAT, hit) - rest * scale);
          }
          to.flush(row);
        });
  }

  private static int target(NdArray targets, long row, CrossEntropyOptions options, int columns) {
    int target = HostBlock.segment(targets).get(JAVA_INT, 4 * (targets.layout().offset() + row));
    if (target != options.ignoreIndex() && (target < 0 || target >= columns)) {
      throw new IndexOutOfBoundsException(
          "crossEntropy: target outside the classes; got "
              + target
              + " at row "
              + row
              + "; need 0 <= target < "
              + columns
              + ", or "
              + options.ignoreIndex()
              + " for a row to ignore");
    }
    return target;
  }
}
