package fornax.cpu;

import com.google.errorprone.annotations.Immutable;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// A few rows that layer normalisation has in the first-level cache, one after another in memory,
/// and the numbers of each. An operand `x` is the segment `x` from byte `xo` on.
///
/// Each loop runs over all rows of a group before the next one starts: a row's sums are chains of
/// dependent additions, of which the processor works on several at a time only if nothing else
/// stands between them. In formulas `h` is the normalised row, `h = (x − mean − rest)·factor`.
final class LayerNormGroup {
  final int columns;

  /// Added to the variance.
  double epsilon;

  /// The sums over the rows so far, of `dy·h` and of `dy`.
  MemorySegment weightSums = MemorySegment.NULL;

  MemorySegment biasSums = MemorySegment.NULL;

  /// The rows it holds now.
  int rows;

  MemorySegment x = MemorySegment.NULL;
  long xo;
  MemorySegment y = MemorySegment.NULL;
  long yo;
  MemorySegment dy = MemorySegment.NULL;
  long dyo;
  MemorySegment weight = MemorySegment.NULL;
  long weightO;
  MemorySegment bias = MemorySegment.NULL;
  long biasO;

  // The arrays are the thread's, which has one group at a time.
  final float[] mean;

  /// What the mean's rounding left of it.
  final float[] rest;

  /// `1 / √(variance + ε)`
  final float[] factor;

  /// The mean of `dy·weight`.
  final float[] gradientMean;

  /// The mean of `dy·weight·h`.
  final float[] gradientDot;

  /// The loops.
  enum Loop {
    /// `mean = Σ x / n`
    MEANS,
    /// `rest = Σ (x − mean) / n`
    RESTS,
    /// `rest`, and `factor = 1 / √(Σ (x − mean)² / n − rest² + ε)`
    FACTORS,
    /// `factor = 1 / √(Σ x² / n + ε)`
    RMS_FACTORS,
    /// `y = h·weight + bias`
    AFFINE,
    /// `gradientMean = Σ dy·weight / n` and `gradientDot = Σ dy·weight·h / n`
    GRADIENT_SUMS,
    /// `y = factor·(dy·weight − gradientMean − h·gradientDot)`
    GRADIENT,
    /// `weightSums += dy·h`, row by row.
    WEIGHT_SUMS,
    /// `biasSums += dy`, row by row.
    BIAS_SUMS
  }

  /// A loop's code.
  @FunctionalInterface
  @Immutable
  interface Code {
    void run(LayerNormGroup group);
  }

  // Found in an array so that the compiler inlines none, see VectorLoop.
  private static final Code[] CODE =
      Arrays.stream(Loop.values())
          .map(Simd.AVAILABLE ? LayerNormVectorKernels::of : LayerNormKernels::of)
          .toArray(Code[]::new);

  LayerNormGroup(int columns) {
    this.columns = columns;
    float[][] numbers = Scratch.get().rowNumbers;
    mean = numbers[0];
    rest = numbers[1];
    factor = numbers[2];
    gradientMean = numbers[3];
    gradientDot = numbers[4];
    Arrays.fill(mean, 0);
    Arrays.fill(rest, 0);
  }

  void run(Loop loop) {
    CODE[loop.ordinal()].run(this);
  }

  /// Takes the sums of `x − mean` and of its squares.
  void setFactor(int row, double sum, double squares) {
    double left = sum / columns;
    double variance = Math.max(0, squares / columns - left * left);
    rest[row] = (float) left;
    factor[row] = (float) (1 / Math.sqrt(variance + epsilon));
  }

  /// The addend in `h = (x − mean)·factor + shift`.
  float shift(int row) {
    return -rest[row] * factor[row];
  }

  /// Where row `row` of an operand begins that begins at `first`.
  long at(long first, int row) {
    return first + 4L * row * columns;
  }
}
