package fornax.cpu;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// Rows of a table by index, and the gradient, which adds rows to the table's. The gradient's tasks
/// own columns of the table, so that equal indices are added in rising order without locks.
final class Embedding {
  private static final int COST = 4;

  // Narrower columns would share cache lines, and leave little to each index read.
  private static final int MIN_WIDTH = 64;

  private Embedding() {}

  static void forward(Workers workers, NdArray table, NdArray indices, NdArray y) {
    long columns = table.dim(1);
    long size = table.dim(0);
    Rows from = new Rows(table, columns, Scratch.ROWS);
    Rows to = new Rows(y, columns, Scratch.ROWS + 1);
    MemorySegment index = HostBlock.segment(indices);
    long first = indices.layout().offset();
    Rows.parallel(
        workers,
        y.dim(0),
        COST * columns,
        row -> {
          long i = Gather.checked("embedding", index, first + row, size, row);
          MemorySegment words = from.read(i);
          MemorySegment.copy(words, from.at(i), to.write(), to.at(row), 4 * columns);
          to.flush(row);
        });
  }

  /// @param dTable F32
  static void gradient(Workers workers, NdArray dy, NdArray indices, NdArray dTable) {
    long rows = dy.dim(0);
    long columns = dy.dim(1);
    long width = Math.ceilDiv(Math.ceilDiv(columns, workers.threads()), 16) * 16;
    long block = Math.max(MIN_WIDTH, width);
    MemorySegment from = HostBlock.segment(dy);
    MemorySegment to = HostBlock.segment(dTable);
    MemorySegment index = HostBlock.segment(indices);
    long first = indices.layout().offset();
    workers.parallel(
        COST * dy.elements(),
        (int) Math.ceilDiv(columns, block),
        task -> {
          long column = task * block;
          int n = (int) Math.min(block, columns - column);
          MemorySegment words = Scratch.get().words(Scratch.ROWS, n);
          long source = dy.layout().offset() + column;
          long target = 4 * (dTable.layout().offset() + column);
          for (long row = 0; row < rows; row++) {
            long i = Gather.checked("embeddingGradient", index, first + row, dTable.dim(0), row);
            long place = source + row * columns;
            if (dy.dtype() == DType.F32) {
              RowKernels.add(from, 4 * place, to, target + 4 * i * columns, n);
            } else {
              Words.read(dy.dtype(), false, from, place, 1, n, words, 0);
              RowKernels.add(words, 0, to, target + 4 * i * columns, n);
            }
          }
        });
  }
}
