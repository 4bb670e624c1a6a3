package fornax.cpu;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;

/// The rows of a contiguous array as floats for [RowKernels]: where they lie if the array is F32,
/// else in a scratch slot of the calling thread.
final class Rows {
  /// Partial sums of a row (see [RowKernels]).
  static final int PARTIALS = 32;

  /// The most rows that a kernel takes as a group.
  static final int MAX_GROUP = 64;

  // Floats of a group: with what is written and two more operands, 16 KB of each are at home in
  // the first-level cache.
  private static final int GROUP_FLOATS = 4096;

  private final MemorySegment data;
  private final DType type;
  private final long offset;
  private final int columns;
  private final int slot;

  /// @param slot the scratch slot, one for each of the rows that a kernel has at a time
  Rows(NdArray x, long columns, int slot) {
    this.data = HostBlock.segment(x);
    this.type = x.dtype();
    this.offset = x.layout().offset();
    this.columns = Math.toIntExact(columns);
    this.slot = slot;
  }

  private boolean direct() {
    return type == DType.F32;
  }

  /// The segment that holds row `row` for reading, from [#at(long)] on.
  MemorySegment read(long row) {
    return read(row, 1);
  }

  /// The same for `count` rows from `row` on, one after another.
  MemorySegment read(long row, int count) {
    if (direct()) {
      return data;
    }
    int n = columns * count;
    MemorySegment words = words(count);
    Words.read(type, false, data, offset + row * columns, 1, n, words, 0);
    return words;
  }

  /// The segment to write row `row` to; [#flush(long)] ends that.
  MemorySegment write() {
    return write(1);
  }

  /// The same for `count` rows.
  MemorySegment write(int count) {
    return direct() ? data : words(count);
  }

  /// Where row `row` begins in its segment, in bytes.
  long at(long row) {
    return direct() ? 4 * (offset + row * columns) : 0;
  }

  /// Takes what was written to the array.
  void flush(long row) {
    flush(row, 1);
  }

  /// Takes what was written to `count` rows from `row` on.
  void flush(long row, int count) {
    if (!direct()) {
      int n = columns * count;
      Words.write(type, false, words(count), 0, n, data, offset + row * columns, 1);
    }
  }

  private MemorySegment words(int count) {
    return Scratch.get().words(slot, columns * count);
  }

  /// How many rows make a group.
  static int group(int columns) {
    return Math.clamp(GROUP_FLOATS / Math.max(1, columns), 1, MAX_GROUP);
  }

  /// Runs `task` for groups of rows, so that a group is worth a task.
  static void parallel(Workers workers, long rows, long costOfRow, RowTask task) {
    parallelParts(
        workers,
        rows,
        costOfRow,
        (first, end) -> {
          for (long row = first; row < end; row++) {
            task.run(row);
          }
        });
  }

  /// Runs `task` for parts of the rows that are worth a task.
  static void parallelParts(Workers workers, long rows, long costOfRow, PartTask task) {
    long perTask = Math.max(1, 32_768 / Math.max(1, costOfRow));
    workers.parallel(
        rows * costOfRow,
        (int) Math.ceilDiv(rows, perTask),
        part -> task.run(part * perTask, Math.min(rows, (part + 1) * perTask)));
  }

  /// The work of rows `[first, end)`.
  @FunctionalInterface
  interface PartTask {
    void run(long first, long end);
  }

  /// The work of one row.
  @FunctionalInterface
  interface RowTask {
    void run(long row);
  }
}
