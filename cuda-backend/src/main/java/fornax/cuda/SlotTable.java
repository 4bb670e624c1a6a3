package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.backend.NdArray;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Tables of many arrays on the device, as `slots.cuh` reads them. A table is uploaded once and
/// found again by its contents, so that a training step uploads none. Their memory is asked of the
/// driver for many tables at once and never given back before the end: asking may make the host
/// wait for the card, and giving back does.
final class SlotTable {
  private static final int KEPT = 16;
  private static final int WORDS =
      8; // of a Slot: four pointers, a copy's, its type, elements, first chunk
  private static final int CHUNK = 8192; // of slots.cuh

  private final CudaDevice device;

  // In the order of last use.
  private final Map<Key, Table> tables = new LinkedHashMap<>(KEPT, 0.75f, true);

  // Addresses of unused memory for as many slots as the key says.
  private final Map<Integer, ArrayDeque<Long>> spare = new HashMap<>();
  private final List<Long> slabs = new ArrayList<>();

  SlotTable(CudaDevice device) {
    this.device = device;
  }

  /// A table on the device.
  ///
  /// @param chunks of all slots
  record Table(long address, int slots, long chunks) {}

  private record Key(List<Long> words) {}

  /// What one slot holds.
  ///
  /// @param arrays up to four F32 arrays of one size
  /// @param copy BF16 or F16, of that size; or null
  record Entry(List<NdArray> arrays, @Nullable NdArray copy) {
    Entry(NdArray... arrays) {
      this(List.of(arrays), null);
    }
  }

  /// The table of `slots`; empty ones are left out.
  synchronized Table of(List<Entry> slots) {
    long[] words = new long[slots.size() * WORDS];
    int count = 0;
    long chunks = 0;
    for (Entry slot : slots) {
      List<NdArray> arrays = slot.arrays();
      long elements = arrays.getFirst().elements();
      if (elements == 0) {
        continue;
      }
      for (int i = 0; i < arrays.size(); i++) {
        words[count * WORDS + i] = CudaBlock.address(arrays.get(i));
      }
      NdArray copy = slot.copy();
      words[count * WORDS + 4] = copy == null ? 0 : CudaBlock.address(copy);
      words[count * WORDS + 5] = copy == null ? 0 : CudaDevice.type(copy);
      words[count * WORDS + 6] = elements;
      words[count * WORDS + 7] = chunks;
      chunks += (elements + CHUNK - 1) / CHUNK;
      count++;
    }
    Key key = new Key(Arrays.stream(words, 0, count * WORDS).boxed().toList());
    Table table = tables.get(key);
    if (table == null && device.isCapturing()) {
      table = upload(words, count, chunks); // for as long as the graph may read it: for ever
    } else if (table == null) {
      if (tables.size() == KEPT) {
        var oldest = tables.entrySet().iterator();
        Table unused = oldest.next().getValue();
        spare(capacity(unused.slots())).addLast(unused.address());
        oldest.remove();
      }
      table = upload(words, count, chunks);
      tables.put(key, table);
    }
    return table;
  }

  private static int capacity(int slots) {
    return Math.max(16, Integer.highestOneBit(Math.max(1, slots - 1)) << 1);
  }

  private ArrayDeque<Long> spare(int capacity) {
    return spare.computeIfAbsent(capacity, _ -> new ArrayDeque<>());
  }

  // A table is written in the order of the calls, so behind the kernels that read the one that was
  // there before.
  private Table upload(long[] words, int count, long chunks) {
    int capacity = capacity(count);
    ArrayDeque<Long> addresses = spare(capacity);
    if (addresses.isEmpty()) {
      long bytes = (long) capacity * WORDS * 8;
      long slab = device.allocateRaw(KEPT * bytes);
      slabs.add(slab);
      for (int i = 0; i < KEPT; i++) {
        addresses.addLast(slab + i * bytes);
      }
    }
    long address = addresses.removeFirst();
    try (var arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocate(JAVA_LONG, Math.max(1, count) * WORDS);
      MemorySegment.copy(words, 0, segment, JAVA_LONG, 0, count * WORDS);
      device.upload(segment, address);
    }
    return new Table(address, count, chunks);
  }

  synchronized void close() {
    slabs.forEach(device::free);
    slabs.clear();
    spare.clear();
    tables.clear();
  }
}
