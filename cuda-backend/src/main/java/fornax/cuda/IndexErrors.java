package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.array.Layout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Bad index values, which a kernel finds and the host learns of at its next wait. The kernel
/// writes the struct `IndexError` of `fornax.cuh`; the ticket in it says which call it was.
final class IndexErrors {
  /// The size of the struct.
  static final long BYTES = 24;

  private static final int REMEMBERED = 1024;

  private final @Nullable Call[] calls = new @Nullable Call[REMEMBERED];
  private int tickets;
  private int observed;

  /// A call that takes indices.
  ///
  /// @param size the size of the axis that they index
  private record Call(int ticket, String op, Layout indices, long size) {}

  /// Notes a call; its number goes to the kernel.
  int ticket(String op, Layout indices, long size) {
    int ticket = ++tickets;
    calls[Math.floorMod(ticket, REMEMBERED)] = new Call(ticket, op, indices, size);
    return ticket;
  }

  /// Notes that calls have been made again, with the tickets they had.
  void replayed() {
    calls[Math.floorMod(++tickets, REMEMBERED)] = null;
  }

  /// The number of the latest call.
  int latest() {
    return tickets;
  }

  /// Whether there are calls whose struct the host has not looked at yet.
  boolean pending() {
    return tickets - observed > 0;
  }

  /// Notes that the host has seen the struct as it was after the call `ticket`.
  void observe(int ticket) {
    if (ticket - observed > 0) {
      observed = ticket;
    }
  }

  /// What the struct says, or null if all indices were right.
  @Nullable IndexOutOfBoundsException error(MemorySegment struct) {
    if (struct.get(JAVA_INT, 0) == 0) {
      return null;
    }
    int ticket = struct.get(JAVA_INT, 4);
    long position = struct.get(JAVA_LONG, 8);
    long value = struct.get(JAVA_LONG, 16);
    Call call = calls[Math.floorMod(ticket, REMEMBERED)];
    if (call == null || call.ticket() != ticket) {
      return new IndexOutOfBoundsException(
          "index outside the axis; got " + value + " at element " + position);
    }
    return new IndexOutOfBoundsException(
        call.op()
            + ": index outside the axis; got "
            + value
            + " at position "
            + position(call.indices(), position)
            + "; need 0 <= index < "
            + call.size());
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
}
