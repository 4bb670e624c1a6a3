package fornax.cpu;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// What stands between [Attention]'s scores and its weights: which keys a query sees (the mask),
/// and which weights are kept (dropout). Both are made anew for each panel, in the order of the
/// panel, and never stored as a whole.
final class AttentionFilter {
  /// Keys at a time: whole blocks of [PhiloxKernel]'s vectors, which stay in the first-level cache.
  private static final int KEYS = 128;

  /// Floats from one query's row to the next, with room for a vector more.
  private static final int PITCH = KEYS + 16;

  /// No mask and no dropout.
  static final AttentionFilter NONE = new AttentionFilter(null, null, 0);

  private final @Nullable NdArray mask;
  private final @Nullable PhiloxKernel words;
  private final int threshold; // in signed order
  private final float factor;

  private AttentionFilter(@Nullable NdArray mask, @Nullable PhiloxKernel words, double dropout) {
    this.mask = mask;
    this.words = words;
    this.threshold = Philox.keepThreshold(dropout) + Integer.MIN_VALUE;
    this.factor = (float) (1 / (1 - dropout));
  }

  /// @param mask BOOL `[batch, heads, queries, keys]` of any layout; null: every query sees every
  ///   key
  /// @param state the random state of the dropout; null without dropout
  static AttentionFilter of(
      @Nullable NdArray mask, @Nullable NdArray state, int stream, double dropout) {
    if (mask == null && state == null) {
      return NONE;
    }
    return new AttentionFilter(
        mask, state == null ? null : new PhiloxKernel(state, stream), state == null ? 0 : dropout);
  }

  boolean masks() {
    return mask != null;
  }

  boolean drops() {
    return words != null;
  }

  /// The mask as a panel: 1 where a query sees a key, else 0.
  void mask(Place place, float[] panel) {
    NdArray from = mask;
    if (from == null) {
      throw new IllegalStateException("attention: no mask");
    }
    MemorySegment data = HostBlock.segment(from);
    Layout layout = from.layout();
    long head =
        layout.offset()
            + place.index / place.heads * layout.stride(0)
            + place.index % place.heads * layout.stride(1);
    long step = layout.stride(3);
    fill(
        place,
        panel,
        (query, key, n, row, at) -> {
          long first = head + query * layout.stride(2) + key * step;
          Words.read(DType.BOOL, false, data, first, step, n, row, at);
        });
  }

  /// What dropout multiplies the weights by, as a panel: `1 / (1 − p)` or 0.
  void dropout(Place place, float[] panel) {
    PhiloxKernel philox = words;
    if (philox == null) {
      throw new IllegalStateException("attention: no dropout");
    }
    MemorySegment block = Scratch.get().words(Scratch.PASSES, 2 * KEYS);
    fill(
        place,
        panel,
        (query, key, n, row, at) -> {
          long first = (place.index * place.queries + query) * place.keys + key;
          int skip = (int) (first & 3); // words come by fours
          philox.words(first - skip, Math.ceilDiv(n + skip, 32) * 32, block);
          Dropout.factors(block, 4L * skip, threshold, factor, row, at, n);
        });
  }

  /// Which panel of which head: queries `[query, query + valid)` and the first `rows` keys from
  /// `key` on.
  ///
  /// @param index the head's among the heads of all batch entries
  /// @param keys how many there are in all; so queries and heads
  record Place(
      MatmulKernels matmul,
      long index,
      int heads,
      int queries,
      int keys,
      int query,
      int valid,
      int key,
      int rows) {}

  /// Writes the numbers of `n` keys of one query, as floats, to `at` of `row` and up to a vector
  /// more.
  @FunctionalInterface
  private interface Row {
    void write(long query, long key, int n, MemorySegment row, long at);
  }

  // A row for each query first, then transposed as queries are.
  private static void fill(Place place, float[] panel, Row row) {
    int lanes = place.matmul.tileColumns();
    MemorySegment rows = Scratch.get().words(Scratch.PASSES + 1, lanes * PITCH);
    var source = new MatmulKernels.Source(rows, false, 4L * PITCH, Float.BYTES);
    for (int key = 0; key < place.rows; key += KEYS) {
      int n = Math.min(KEYS, place.rows - key);
      for (int i = 0; i < place.valid; i++) {
        row.write(place.query + i, place.key + key, n, rows, 4L * PITCH * i);
      }
      place.matmul.pack(panel, key * lanes, lanes, place.valid, n, source, 0);
    }
  }
}
