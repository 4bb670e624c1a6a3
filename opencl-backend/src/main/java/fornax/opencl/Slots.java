package fornax.opencl;

import java.nio.ByteBuffer;
import java.util.List;

/// The structure `Slots` of `adamw.cl` and `globalnorm.cl`: which groups belong to which array.
///
/// @param first the first group of each slot, and one more for the end
/// @param count the elements of each slot
record Slots(List<Long> first, List<Long> count) implements Argument {
  /// The arrays of one launch.
  static final int MOST = 8;

  /// For arrays of `counts` elements, each cut into groups of `chunk`.
  static Slots of(List<Long> counts, long chunk) {
    Long[] first = new Long[MOST + 1];
    Long[] count = new Long[MOST];
    long group = 0;
    for (int slot = 0; slot < MOST; slot++) {
      first[slot] = group;
      count[slot] = slot < counts.size() ? counts.get(slot) : 0L;
      group += Grid.ceilDiv(count[slot], chunk);
    }
    first[MOST] = group;
    return new Slots(List.of(first), List.of(count));
  }

  /// The groups of all slots together.
  long groups() {
    return first.getLast();
  }

  @Override
  public boolean isWide() {
    return count.stream().anyMatch(each -> each > Integer.MAX_VALUE);
  }

  @Override
  public void write(ByteBuffer to, boolean wide) {
    for (List<Long> numbers : List.of(first, count)) {
      for (long number : numbers) {
        if (wide) {
          to.putLong(number);
        } else {
          to.putInt((int) number);
        }
      }
    }
  }
}
