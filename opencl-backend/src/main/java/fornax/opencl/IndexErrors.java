package fornax.opencl;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import fornax.array.Layout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Which launch found an index outside its axis. A kernel notes that in four words on the device:
/// the launch's number, the position of the index (two words), and the index. The words travel with
/// the next readback; this remembers what the launches were. Used under the lock of its
/// [OpenClQueue].
final class IndexErrors {
  static final long BYTES = 16; // of the words
  private static final int REMEMBERED_LAUNCHES = 1024;

  private final Check[] launches = new Check[REMEMBERED_LAUNCHES];
  private long launched;
  private long checked;
  private @Nullable RuntimeException failure;

  /// An argument of a kernel: the words of index errors and the launch's number.
  ///
  /// @param indices the layout of the indices
  /// @param size of the axis
  record Check(String op, Layout indices, long size) {}

  /// The number of a launch that may find a wrong index, from 1.
  int number(Check check) {
    int slot = (int) (launched++ % REMEMBERED_LAUNCHES);
    launches[slot] = check;
    return slot + 1;
  }

  /// Whether there were such launches since the last call.
  boolean takeUnchecked() {
    boolean unchecked = checked != launched;
    checked = launched;
    return unchecked;
  }

  /// Takes up the words from the device; true if they tell of an error, and must be cleared there.
  boolean note(MemorySegment words) {
    int number = words.get(JAVA_INT, 0);
    if (number == 0) {
      return false;
    }
    if (failure == null) {
      long position = (words.get(JAVA_INT, 4) & 0xffffffffL) | (long) words.get(JAVA_INT, 8) << 32;
      Check launch = launches[(number - 1) % REMEMBERED_LAUNCHES];
      failure =
          new IndexOutOfBoundsException(
              launch.op()
                  + ": index outside the axis; got "
                  + words.get(JAVA_INT, 12)
                  + " at position "
                  + position(launch.indices(), position)
                  + "; need 0 <= index < "
                  + launch.size());
    }
    return true;
  }

  // The index of the element with the row-major number `linear`, without broadcast axes.
  private static List<Long> position(Layout layout, long linear) {
    List<Long> position = new ArrayList<>();
    for (int axis = layout.shape().rank() - 1; axis >= 0; axis--) {
      long dim = layout.shape().dim(axis);
      if (layout.stride(axis) != 0) {
        position.addFirst(linear % dim);
      }
      linear /= dim;
    }
    return position;
  }

  /// Throws the first error that was noted, once.
  void rethrow() {
    RuntimeException late = failure;
    if (late != null) {
      failure = null;
      throw late;
    }
  }
}
