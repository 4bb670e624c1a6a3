package fornax.cpu;

import com.google.errorprone.annotations.Immutable;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// A few rows that softmax has in the first-level cache, one after another in memory. As with
/// [LayerNormGroup], each loop runs over all rows of the group before the next one starts. An
/// operand `x` is the segment `x` from byte `xo` on.
final class SoftmaxGroup {
  final int columns;

  /// The rows it holds now.
  int rows;

  MemorySegment x = MemorySegment.NULL;
  long xo;
  MemorySegment y = MemorySegment.NULL;
  long yo;
  MemorySegment dy = MemorySegment.NULL;
  long dyo;

  /// What is taken from each element of a row, or what it is multiplied by. The array is the
  /// thread's, which has one group at a time.
  final float[] number = Scratch.get().rowNumbers[0];

  /// The loops.
  enum Loop {
    /// `number = max(x)`
    MAX,
    /// `y = exp(x − number)`
    EXP,
    /// `number = 1 / Σ y`
    INVERSE,
    /// `y = y·number`
    SCALE,
    /// `number = Σ x·dy`
    DOT,
    /// `y = x·(dy − number)`
    GRADIENT
  }

  /// A loop's code.
  @FunctionalInterface
  @Immutable
  interface Code {
    void run(SoftmaxGroup group);
  }

  // Found in an array so that the compiler inlines none, see VectorLoop.
  private static final Code[] CODE =
      Arrays.stream(Loop.values())
          .map(Simd.AVAILABLE ? SoftmaxVectorKernels::of : SoftmaxKernels::of)
          .toArray(Code[]::new);

  SoftmaxGroup(int columns) {
    this.columns = columns;
  }

  void run(Loop loop) {
    CODE[loop.ordinal()].run(this);
  }

  /// Where row `row` of an operand begins that begins at `first`.
  long at(long first, int row) {
    return first + 4L * row * columns;
  }
}
