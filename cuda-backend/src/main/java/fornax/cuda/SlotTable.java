package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.backend.NdArray;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Tables of many arrays on the device, as `slots.cuh` reads them. A table is uploaded once and
/// found again by its contents, so that a training step uploads none.
final class SlotTable {
  private static final int KEPT = 16;
  private static final int WORDS = 7; // of a Slot: four pointers, a copy's, elements, first chunk
  private static final int CHUNK = 8192; // of slots.cuh

  private final CudaDevice device;

  // In the order of last use.
  private final Map<Key, Table> tables = new LinkedHashMap<>(KEPT, 0.75f, true);

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
  /// @param copy BF16, of that size; or null
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
      words[count * WORDS + 5] = elements;
      words[count * WORDS + 6] = chunks;
      chunks += (elements + CHUNK - 1) / CHUNK;
      count++;
    }
    Key key = new Key(Arrays.stream(words, 0, count * WORDS).boxed().toList());
    Table table = tables.get(key);
    if (table == null) {
      table = upload(words, count, chunks);
      tables.put(key, table);
      if (tables.size() > KEPT) {
        var oldest = tables.entrySet().iterator();
        device.free(oldest.next().getValue().address());
        oldest.remove();
      }
    }
    return table;
  }

  private Table upload(long[] words, int count, long chunks) {
    long address = device.allocateRaw(Math.max(1, count) * WORDS * 8L);
    try (var arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocate(JAVA_LONG, Math.max(1, count) * WORDS);
      MemorySegment.copy(words, 0, segment, JAVA_LONG, 0, count * WORDS);
      device.upload(segment, address);
    }
    return new Table(address, count, chunks);
  }

  synchronized void close() {
    tables.values().forEach(table -> device.free(table.address()));
    tables.clear();
  }
}
