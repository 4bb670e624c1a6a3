package fornax.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The small buffers of one thread, kept from call to call: slots of native memory that grow to the
/// longest row or block asked for.
final class Scratch {
  /// Slots of [BlockLoop]'s operands: one each.
  static final int OPERANDS = 0;

  /// Slots of [BlockLoop]'s tails: one for each operand.
  static final int TAILS = 5;

  /// Slots of whole rows that are not stored as floats.
  static final int ROWS = 10;

  /// The slot of partial sums.
  static final int PARTIALS = 15;

  /// Slots for blocks inside row kernels.
  static final int TEMPORARIES = 16;

  /// Slots for kernels that run over a block several times.
  static final int PASSES = 20;

  /// Slots of convolution: a padded image, its columns, and what they are multiplied by or give.
  static final int CONVOLUTION = 23;

  private static final int SLOTS = 26;
  private static final int MIN_BYTES = 4 * BlockLoop.BLOCK + 64;
  private static final ThreadLocal<Scratch> CURRENT = ThreadLocal.withInitial(Scratch::new);

  private final MemorySegment[] slots = new MemorySegment[SLOTS];

  /// The numbers of each row of a group, for kernels that take rows by groups.
  final float[][] rowNumbers = new float[5][Rows.MAX_GROUP];

  /// Sort keys; grows as needed.
  long[] keys = {};

  private Scratch() {
    java.util.Arrays.fill(slots, MemorySegment.NULL);
  }

  /// The calling thread's.
  static Scratch get() {
    return CURRENT.get();
  }

  /// A buffer of at least `words` 32-bit words and a vector more, with arbitrary contents.
  MemorySegment words(int slot, int words) {
    MemorySegment segment = slots[slot];
    long bytes = 4L * words + 64;
    if (segment.byteSize() < bytes) {
      segment = Arena.ofAuto().allocate(Math.max(MIN_BYTES, bytes), 64);
      slots[slot] = segment;
    }
    return segment;
  }

  /// The buffer for the partial sums of one reduction.
  MemorySegment partials() {
    return words(PARTIALS, Rows.PARTIALS);
  }

  /// An array of at least `length` keys, with arbitrary contents.
  long[] keys(int length) {
    if (keys.length < length) {
      keys = new long[length];
    }
    return keys;
  }
}
