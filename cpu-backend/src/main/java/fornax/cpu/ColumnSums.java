package fornax.cpu;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Binary;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;

/// Sums over the rows of a matrix, such as the gradients of biases: rows are cut into parts by
/// their number alone, each part adds up its rows, and the parts' sums are folded pairwise.
final class ColumnSums {
  private static final int MAX_PARTS = 64;
  private static final int MIN_ROWS = 16;
  private static final int COLUMN_BLOCK = 256;

  private ColumnSums() {}

  /// The rows of a part, of `rows` in all.
  static long rowsPerPart(long rows) {
    return Math.max(MIN_ROWS, Math.ceilDiv(rows, MAX_PARTS));
  }

  static long parts(long rows) {
    return Math.max(1, Math.ceilDiv(rows, rowsPerPart(rows)));
  }

  /// Room for the sums of all parts: F32 [parts, columns].
  static NdArray allocate(Workspace work, long rows, long columns) {
    return work.allocate(DType.F32, Shape.of(parts(rows), columns));
  }

  /// `y [C]` = or += the sum over the rows of `sums [P, C]`, which is written over.
  static void combine(CpuBackend b, NdArray sums, NdArray y, boolean accumulate) {
    long parts = sums.dim(0);
    long columns = sums.dim(1);
    MemorySegment data = HostBlock.segment(sums);
    long first = 4 * sums.layout().offset();
    b.workers()
        .parallel(
            parts * columns,
            (int) Math.ceilDiv(columns, COLUMN_BLOCK),
            block -> {
              long column = (long) block * COLUMN_BLOCK;
              int n = (int) Math.min(COLUMN_BLOCK, columns - column);
              fold(data, first + 4 * column, 4 * columns, (int) parts, n);
            });
    NdArray total = sums.slice(0, 0, 1).reshape(y.shape());
    if (accumulate) {
      b.binary(Binary.ADD, y, total, y);
    } else {
      b.copy(total, y);
    }
  }

  // Adds rows `stride` bytes apart in pairs, until the first holds the sum of all.
  private static void fold(MemorySegment data, long at, long stride, int rows, int n) {
    for (int step = 1; step < rows; step *= 2) {
      for (int row = 0; row + step < rows; row += 2 * step) {
        long to = at + row * stride;
        RowKernels.add(data, to + step * stride, data, to, n);
      }
    }
  }
}
