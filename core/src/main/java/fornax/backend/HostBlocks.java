package fornax.backend;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/// The host's memory for backends that compute there.
///
/// Large blocks come from `mmap` on Linux, with `madvise(MADV_HUGEPAGE)`: fewer page faults and TLB
/// misses, worth 10 to 50 % to kernels that stream (AdamW, embeddings). Elsewhere, and for small
/// blocks, from an [Arena].
public final class HostBlocks implements BlockSource {
  private static final long HUGE_PAGE = 2L << 20;

  /// The host's memory; all instances are alike.
  public HostBlocks() {}

  @SuppressWarnings("MustBeClosed") // the block closes its arena
  @Override
  public Block allocate(long bytes) {
    if (bytes >= HUGE_PAGE && Mmap.INSTANCE != null) {
      return Mmap.INSTANCE.allocate(bytes);
    }
    Arena arena = Arena.ofShared();
    try {
      return new HostBlock(arena, arena.allocate(bytes, 64));
    } catch (OutOfMemoryError e) {
      arena.close();
      throw e;
    }
  }

  @SuppressWarnings({
    "restricted",
    "MustBeClosed"
  }) // foreign calls are its point; blocks close arenas
  private record Mmap(MethodHandle map, MethodHandle unmap, MethodHandle advise) {
    private static final int PROT_READ_WRITE = 3; // <sys/mman.h> of Linux, as the next three
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
    private static final int MADV_HUGEPAGE = 14;
    private static final long MAP_FAILED = -1;

    static final @Nullable Mmap INSTANCE = find();

    private static @Nullable Mmap find() {
      if (!System.getProperty("os.name", "").equals("Linux")) {
        return null;
      }
      Linker linker = Linker.nativeLinker();
      SymbolLookup libc = linker.defaultLookup();
      if (libc.find("mmap").isEmpty()
          || libc.find("munmap").isEmpty()
          || libc.find("madvise").isEmpty()) {
        return null;
      }
      return new Mmap(
          linker.downcallHandle(
              libc.findOrThrow("mmap"),
              FunctionDescriptor.of(
                  ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG)),
          linker.downcallHandle(
              libc.findOrThrow("munmap"), FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG)),
          linker.downcallHandle(
              libc.findOrThrow("madvise"),
              FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT)));
    }

    // Maps a huge page more than asked for, so that the block can begin on a huge page's boundary.
    Block allocate(long bytes) {
      long mapped = Math.addExact(bytes, HUGE_PAGE);
      MemorySegment raw;
      try {
        raw =
            (MemorySegment)
                map.invokeExact(
                    MemorySegment.NULL, mapped, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      } catch (Throwable e) {
        throw new LinkageError("mmap: the call failed", e);
      }
      if (raw.address() == MAP_FAILED) {
        throw new OutOfMemoryError("mmap: the system refused " + mapped + " bytes");
      }
      long skip = -raw.address() & (HUGE_PAGE - 1);
      Arena arena = Arena.ofShared();
      MemorySegment whole = raw.reinterpret(mapped, arena, this::free);
      MemorySegment segment = whole.asSlice(skip, bytes);
      try {
        int _ =
            (int)
                advise.invokeExact(
                    segment, bytes, MADV_HUGEPAGE); // advice: refusal costs only speed
      } catch (Throwable e) {
        throw new LinkageError("madvise: the call failed", e);
      }
      return new HostBlock(arena, segment);
    }

    private void free(MemorySegment whole) {
      try {
        int _ = (int) unmap.invokeExact(whole, whole.byteSize());
      } catch (Throwable e) {
        throw new LinkageError("munmap: the call failed", e);
      }
    }
  }
}
