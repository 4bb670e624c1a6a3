package fornax.backend;

import fornax.array.DType;
import fornax.array.Shape;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A device's memory: a caching pool by size class, with exact accounting.
///
/// Design. A request is rounded up to a size class (eight to a power of two, so at most 1/8 is
/// lost) and served from the class's free blocks, last in first out, so that a training step finds
/// the blocks of the step before. Only where there is none is the system asked. Work on a device is
/// ordered, so a block may be leased again while earlier work on it is still queued. With
/// [Settings#guardMemory()] every lease lies between two guard areas that are checked when it ends,
/// and is poisoned with 0xFF (NaN, −1) at both ends of its life.
public final class Memory implements AutoCloseable {
  private static final long GUARD = 64;
  private static final long LARGEST =
      Long.MAX_VALUE / 4; // of a block: its size class is a long too
  private static final byte GUARD_BYTE = (byte) 0xA5;
  private static final byte POISON = (byte) 0xFF;

  private final String device;
  private final BlockSource source;
  private final boolean guarded = Settings.guardMemory();
  private final Settings.LeakLevel leakLevel = Settings.leakLevel();
  private final Map<Long, ArrayDeque<Block>> free = new HashMap<>();
  private final long[] ownerBytes = new long[Owner.values().length];
  private final long[] peakBytes = new long[Owner.values().length]; // of each owner, at the peak

  private @Nullable Reservation reserving;
  private @Nullable Buffer newest;
  private long limit;
  private long live;
  private long peak;
  private long cached;
  private long system;
  private long buffers;
  private long allocations;
  private long systemRequests;
  private long refused; // the allocation that fails, counted from the first; 0: none
  private boolean closed;

  /// @param device the name in reports
  /// @param limit the most bytes to hold of the system's memory
  public Memory(String device, BlockSource source, long limit) {
    this.device = device;
    this.source = source;
    this.limit = limit;
  }

  /// A new contiguous array with arbitrary contents and one holder.
  ///
  /// @throws OutOfDeviceMemoryException with a report by owner
  public NdArray allocate(DType dtype, Shape shape, Owner owner) {
    if (shape.elements() > LARGEST / dtype.bytes()) {
      throw outOfMemory(Long.MAX_VALUE, dtype, shape, owner);
    }
    long bytes = shape.elements() * dtype.bytes();
    long start = guarded ? GUARD : 0;
    long size = sizeClass(bytes + 2 * start);
    Buffer buffer;
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("allocate: the device " + device + " has been closed");
      }
      if (refused == allocations + 1) {
        refused = 0;
        throw outOfMemory(size, dtype, shape, owner);
      }
      Block block = cachedBlock(size);
      if (block == null) {
        block = ask(size, dtype, shape, owner);
      } else {
        cached -= size;
      }
      if (reserving != null) {
        block.reservation = reserving;
      }
      Throwable origin = leakLevel.samples(allocations) ? new Throwable("allocated here") : null;
      buffer = new Buffer(this, block, start, dtype, shape, bytes, owner, origin);
      live += bytes;
      buffers++;
      allocations++;
      ownerBytes[owner.ordinal()] += bytes;
      if (live > peak) {
        peak = live;
        System.arraycopy(ownerBytes, 0, peakBytes, 0, ownerBytes.length);
      }
      buffer.next = newest;
      if (newest != null) {
        newest.previous = buffer;
      }
      newest = buffer;
    }
    AllocationEvent.commit(device, owner, dtype, shape, bytes, live);
    if (guarded) {
      Block block = buffer.block();
      block.fill(0, GUARD, GUARD_BYTE);
      block.fill(GUARD, bytes, POISON);
      block.fill(GUARD + bytes, GUARD, GUARD_BYTE);
    }
    return new NdArray(buffer, dtype, fornax.array.Layout.of(shape));
  }

  private @Nullable Block cachedBlock(long size) {
    Block block = reserving == null ? null : poll(reserving.free, size);
    return block == null ? poll(free, size) : block;
  }

  private static @Nullable Block poll(Map<Long, ArrayDeque<Block>> free, long size) {
    ArrayDeque<Block> blocks = free.get(size);
    return blocks == null ? null : blocks.pollLast();
  }

  private static void keep(Map<Long, ArrayDeque<Block>> free, Block block) {
    free.computeIfAbsent(block.bytes(), _ -> new ArrayDeque<>()).addLast(block);
  }

  /// Begins a reservation: until its [Reservation#stop()], all that is allocated belongs to it.
  ///
  /// @throws IllegalStateException if there is one already
  public synchronized Reservation reserve() {
    if (reserving != null) {
      throw new IllegalStateException(
          "reserve: " + device + " has a reservation under way already");
    }
    reserving = new Reservation();
    return reserving;
  }

  /// Blocks that captured work writes to whenever it is replayed, so that nothing else may lie in
  /// them until it is closed.
  public final class Reservation implements AutoCloseable {
    private final Map<Long, ArrayDeque<Block>> free = new HashMap<>();

    private Reservation() {}

    /// Allocates as before; what was allocated stays reserved.
    public void stop() {
      synchronized (Memory.this) {
        if (reserving == this) {
          reserving = null;
        }
      }
    }

    /// Gives the blocks to the device's cache; those that arrays still hold follow when they are
    /// released.
    @Override
    public void close() {
      synchronized (Memory.this) {
        stop();
        for (ArrayDeque<Block> blocks : free.values()) {
          for (Block block : blocks) {
            block.reservation = null;
            if (closed) {
              cached -= block.bytes();
              release(block);
            } else {
              keep(Memory.this.free, block);
            }
          }
        }
        free.clear();
        for (Buffer buffer = newest; buffer != null; buffer = buffer.next) {
          if (buffer.leased().reservation == this) {
            buffer.leased().reservation = null;
          }
        }
      }
    }
  }

  void recycle(Buffer buffer) {
    Block block = buffer.leased();
    boolean intact = true;
    if (guarded) {
      intact =
          block.isFilled(0, GUARD, GUARD_BYTE)
              && block.isFilled(GUARD + buffer.bytes(), GUARD, GUARD_BYTE);
      block.fill(GUARD, buffer.bytes(), POISON);
    }
    synchronized (this) {
      live -= buffer.bytes();
      buffers--;
      ownerBytes[buffer.owner.ordinal()] -= buffer.bytes();
      if (buffer.previous == null) {
        newest = buffer.next;
      } else {
        buffer.previous.next = buffer.next;
      }
      if (buffer.next != null) {
        buffer.next.previous = buffer.previous;
      }
      buffer.previous = null;
      buffer.next = null;
      if (closed) {
        release(block);
      } else {
        cached += block.bytes();
        Reservation reservation = block.reservation;
        keep(reservation == null ? free : reservation.free, block);
      }
    }
    if (!intact) {
      throw new IllegalStateException(
          "memory: written outside a buffer; got damaged guard words round " + buffer.describe());
    }
  }

  synchronized void move(Buffer buffer, Owner owner) {
    ownerBytes[buffer.owner.ordinal()] -= buffer.bytes();
    buffer.owner = owner;
    ownerBytes[owner.ordinal()] += buffer.bytes();
  }

  private Block ask(long size, DType dtype, Shape shape, Owner owner) {
    if (size > limit - system) {
      trim();
    }
    if (size <= limit - system) {
      try {
        return account(source.allocate(size));
      } catch (OutOfMemoryError _) {
        trim();
        try {
          return account(source.allocate(size));
        } catch (OutOfMemoryError _) {
          // reported below
        }
      }
    }
    throw outOfMemory(size, dtype, shape, owner);
  }

  private synchronized OutOfDeviceMemoryException outOfMemory(
      long size, DType dtype, Shape shape, Owner owner) {
    return new OutOfDeviceMemoryException(
        "allocate: out of memory on "
            + device
            + "; got a request of "
            + (size == Long.MAX_VALUE ? "2^63 or more" : size)
            + " bytes for "
            + dtype
            + " "
            + shape
            + " ("
            + owner
            + "), "
            + system
            + " bytes in use; need at most "
            + limit
            + "; a smaller batch or context, or fewer live tensors (are scopes closed?)\n"
            + report());
  }

  private Block account(Block block) {
    system += block.bytes();
    systemRequests++;
    return block;
  }

  private void release(Block block) {
    system -= block.bytes();
    block.free();
  }

  /// The figures now.
  public synchronized MemoryStats stats() {
    return new MemoryStats(live, peak, cached, system, buffers, allocations, systemRequests);
  }

  /// Live bytes of `owner`.
  public synchronized long live(Owner owner) {
    return ownerBytes[owner.ordinal()];
  }

  /// What `owner` had of the peak, when that was reached.
  public synchronized long atPeak(Owner owner) {
    return peakBytes[owner.ordinal()];
  }

  /// Starts counting the peak anew, from what is live.
  public synchronized void resetPeak() {
    peak = live;
    System.arraycopy(ownerBytes, 0, peakBytes, 0, ownerBytes.length);
  }

  /// The most bytes to hold of the system's memory.
  public synchronized long limit() {
    return limit;
  }

  /// Changes the limit; what is already held stays.
  public synchronized void setLimit(long bytes) {
    limit = bytes;
  }

  /// Makes the `count`-th allocation from now, counted from 1, fail once as if memory had run out:
  /// for tests of what that leaves behind. 0: none.
  public synchronized void refuse(long count) {
    refused = count == 0 ? 0 : allocations + count;
  }

  /// Whether the allocation that [#refuse(long)] named is still to come.
  public synchronized boolean isRefusing() {
    return refused > 0;
  }

  /// Gives the cache back to the system.
  public synchronized void trim() {
    for (ArrayDeque<Block> blocks : free.values()) {
      for (Block block : blocks) {
        cached -= block.bytes();
        release(block);
      }
    }
    free.clear();
  }

  /// Who holds what, and the largest live arrays with their shapes.
  public synchronized String report() {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%s: %,d bytes live in %,d buffers, %,d cached, peak %,d%n",
            device,
            live,
            buffers,
            cached,
            peak));
    for (Owner owner : Owner.values()) {
      text.append(
          String.format(
              Locale.ROOT,
              "  %-12s %,16d%n",
              owner.name().toLowerCase(Locale.ROOT),
              ownerBytes[owner.ordinal()]));
    }
    List<Buffer> all = liveBuffers();
    all.sort(Comparator.comparingLong(Buffer::bytes).reversed());
    for (Buffer buffer : all.subList(0, Math.min(8, all.size()))) {
      text.append("  ").append(buffer.describe()).append(System.lineSeparator());
    }
    return text.toString().stripTrailing();
  }

  /// The live buffers, newest first, each with where it was made where the leak detector recorded
  /// that.
  public synchronized List<String> leaks() {
    List<String> lines = new ArrayList<>();
    for (Buffer buffer : liveBuffers()) {
      StringBuilder line = new StringBuilder(buffer.describe());
      if (buffer.origin != null) {
        Arrays.stream(buffer.origin.getStackTrace())
            .skip(1)
            .limit(12)
            .forEach(frame -> line.append("\n    at ").append(frame));
      }
      lines.add(line.toString());
    }
    return lines;
  }

  private List<Buffer> liveBuffers() {
    List<Buffer> all = new ArrayList<>();
    for (Buffer buffer = newest; buffer != null; buffer = buffer.next) {
      all.add(buffer);
    }
    return all;
  }

  /// Gives everything cached back; what is still leased follows when it is released.
  @Override
  public synchronized void close() {
    trim();
    closed = true;
  }

  // 64 bytes at least, then steps of an eighth of the power of two below.
  static long sizeClass(long bytes) {
    if (bytes <= 64) {
      return 64;
    }
    long step = Math.max(64, Long.highestOneBit(bytes - 1) >>> 3);
    return (Math.addExact(bytes, step - 1) / step) * step;
  }
}
