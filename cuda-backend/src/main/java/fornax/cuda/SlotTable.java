package fornax.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.backend.NdArray;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Tables of many arrays on the device, as `slots.cuh` reads them. A table is uploaded once and
/// found again by its contents, so that a training step uploads none.
final class SlotTable {
  private static final int KEPT = 16;
  private static final int WORDS = 6; // of a Slot: four pointers, elements, first chunk
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

  /// The table of `slots`, each of which has up to four arrays of one size; empty ones are left
  /// out.
  synchronized Table of(List<List<NdArray>> slots) {
    long[] words = new long[slots.size() * WORDS];
    int count = 0;
    long chunks = 0;
    for (List<NdArray> slot : slots) {
      long elements = slot.getFirst().elements();
      if (elements == 0) {
        continue;
      }
      for (int i = 0; i < slot.size(); i++) {
        words[count * WORDS + i] = CudaBlock.address(slot.get(i));
      }
      words[count * WORDS + 4] = elements;
      words[count * WORDS + 5] = chunks;
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
