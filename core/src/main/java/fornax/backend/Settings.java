package fornax.backend;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// The system properties that Fornax reads, all in one place.
public final class Settings {
  private Settings() {}

  /// How closely the leak detector looks at where buffers are made.
  public enum LeakLevel {
    /// no record
    OFF,
    /// one buffer in 128
    SAMPLED,
    /// every buffer
    PARANOID;

    boolean samples(long count) {
      return switch (this) {
        case OFF -> false;
        case SAMPLED -> count % 128 == 0;
        case PARANOID -> true;
      };
    }
  }

  /// `-Dfornax.device=cpu`: the device taken where none is named; `auto` if unset.
  public static String device() {
    return System.getProperty("fornax.device", "auto");
  }

  /// `-Dfornax.threads=N`: threads of the CPU backend; the number of processors if unset.
  public static int threads() {
    return (int) positive("fornax.threads", Runtime.getRuntime().availableProcessors());
  }

  /// `-Dfornax.vector=false`: the CPU backend's scalar kernels even where the Vector API is there.
  public static boolean vector() {
    return !"false".equals(System.getProperty("fornax.vector"));
  }

  /// What multiplies BF16 matrices on the CPU. F32 products are always our own kernels'.
  public enum CpuMatmul {
    /// oneDNN where it is on the class path and the processor has BF16 instructions, else Java
    AUTO,
    /// our own kernels, in F32 arithmetic
    JAVA,
    /// oneDNN, which must be there
    ONEDNN
  }

  /// `-Dfornax.cpu.matmul=auto|java|onednn`: what multiplies BF16 matrices on the CPU; auto if
  /// unset.
  public static CpuMatmul cpuMatmul() {
    String value = System.getProperty("fornax.cpu.matmul", "auto");
    try {
      return CpuMatmul.valueOf(value.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException _) {
      throw new IllegalArgumentException(
          "-Dfornax.cpu.matmul: unknown; got " + value + "; need auto, java or onednn");
    }
  }

  /// `-Dfornax.profile=true`: devices that are opened measure the time of each kernel (see
  /// [Backend#kernelTimes()]).
  public static boolean profile() {
    return Boolean.getBoolean("fornax.profile");
  }

  /// `-Dfornax.cache=DIR`: where backends keep compiled kernels; `fornax` in the user's cache
  /// directory if unset. Null for `off`.
  public static @Nullable Path cache() {
    String directory = System.getProperty("fornax.cache");
    if (directory != null) {
      return directory.equals("off") ? null : Path.of(directory);
    }
    String caches = System.getenv("XDG_CACHE_HOME"); // XDG Base Directory Specification
    return caches == null || caches.isEmpty()
        ? Path.of(System.getProperty("user.home", "."), ".cache", "fornax")
        : Path.of(caches, "fornax");
  }

  /// Whether `-Dfornax.cache` is set.
  public static boolean cacheIsChosen() {
    return System.getProperty("fornax.cache") != null;
  }

  /// `-Dfornax.memory.limit=BYTES`: the most memory a host device may hold; nine tenths of the
  /// machine's if unset.
  public static long memoryLimit() {
    return positive("fornax.memory.limit", Machine.bytes() / 10 * 9);
  }

  /// `-Dfornax.memory.limit=BYTES`: the most memory a GPU may hold; what is free when it is opened,
  /// `free`, less a reserve if unset.
  public static long memoryLimit(long free) {
    return positive("fornax.memory.limit", free);
  }

  /// `-Dfornax.memory.guard=true`: guard words round every buffer and poisoned contents (slow; for
  /// tests).
  public static boolean guardMemory() {
    return Boolean.getBoolean("fornax.memory.guard");
  }

  /// `-Dfornax.leaks=off|sampled|paranoid`: the leak detector; off if unset.
  public static LeakLevel leakLevel() {
    String value = System.getProperty("fornax.leaks", "off");
    try {
      return LeakLevel.valueOf(value.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException _) {
      throw new IllegalArgumentException(
          "-Dfornax.leaks: unknown level; got " + value + "; need off, sampled or paranoid");
    }
  }

  /// `-Dfornax.numerics=true`: every operation of every thread is watched for NaN and infinity
  /// (slow).
  public static boolean checkNumerics() {
    return Boolean.getBoolean("fornax.numerics");
  }

  /// How kernels reach the CUDA driver.
  public enum CudaCode {
    /// a cubin where the compiler knows the card, else PTX
    AUTO,
    /// PTX, which the driver compiles
    PTX,
    /// a cubin for the card's own architecture
    CUBIN
  }

  /// `-Dfornax.cuda.code=ptx|cubin`: forces one form of CUDA code; the best there is if unset.
  public static CudaCode cudaCode() {
    String value = System.getProperty("fornax.cuda.code", "auto");
    try {
      return CudaCode.valueOf(value.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException _) {
      throw new IllegalArgumentException(
          "-Dfornax.cuda.code: unknown form; got " + value + "; need auto, ptx or cubin");
    }
  }

  /// `-Dfornax.cuda.cublas=false`: the CUDA backend's own matmul even where cuBLAS is there.
  public static boolean cublas() {
    return !"false".equals(System.getProperty("fornax.cuda.cublas"));
  }

  /// `-Dfornax.cuda.tf32=true`: cuBLAS may multiply F32 matrices on tensor cores, whose factors
  /// have 10 bits of mantissa.
  public static boolean cudaTf32() {
    return Boolean.getBoolean("fornax.cuda.tf32");
  }

  /// How the tiles of products on CUDA's tensor cores are chosen.
  public enum CudaTiles {
    /// as `SEARCH` on a card, as `FIXED` on the software device
    AUTO,
    /// the first product of each shape tries all, and the fastest is kept on disk
    SEARCH,
    /// by the product's shape alone
    FIXED
  }

  /// `-Dfornax.cuda.tiles=auto|search|fixed`: how the tiles of products on CUDA's tensor cores are
  /// chosen; auto if unset. All give the same bits.
  public static CudaTiles cudaTiles() {
    String value = System.getProperty("fornax.cuda.tiles", "auto");
    try {
      return CudaTiles.valueOf(value.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException _) {
      throw new IllegalArgumentException(
          "-Dfornax.cuda.tiles: unknown; got " + value + "; need auto, search or fixed");
    }
  }

  /// `-Dfornax.cuda.graphs=false`: captured work is not recorded as a CUDA graph, but enqueued anew
  /// each time.
  public static boolean cudaGraphs() {
    return !"false".equals(System.getProperty("fornax.cuda.graphs"));
  }

  /// What multiplies F32 matrices on OpenCL.
  public enum OpenClMatmul {
    /// our own kernels: where CLBlast was measured, it was slower
    AUTO,
    /// our own kernels
    OWN,
    /// CLBlast, which the system must have
    CLBLAST
  }

  /// `-Dfornax.opencl.matmul=auto|own|clblast`: what multiplies F32 matrices on OpenCL; auto if
  /// unset.
  public static OpenClMatmul openClMatmul() {
    String value = System.getProperty("fornax.opencl.matmul", "auto");
    try {
      return OpenClMatmul.valueOf(value.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException _) {
      throw new IllegalArgumentException(
          "-Dfornax.opencl.matmul: unknown; got " + value + "; need auto, own or clblast");
    }
  }

  /// `-Dfornax.check=true`: GPU backends wait after each operation, so that an error is reported by
  /// the operation that made it (slow).
  public static boolean check() {
    return Boolean.getBoolean("fornax.check");
  }

  /// `-Dfornax.cache=FOLDER`: where compiled kernels and unpacked libraries are kept; `fornax` in
  /// the user's cache folder if unset.
  public static Path cacheFolder() {
    @Nullable String named = System.getProperty("fornax.cache");
    if (named != null) {
      return Path.of(named);
    }
    @Nullable String cache = System.getenv("XDG_CACHE_HOME");
    return cache == null || cache.isEmpty()
        ? Path.of(System.getProperty("user.home", "."), ".cache", "fornax")
        : Path.of(cache, "fornax");
  }

  private static long positive(String name, long otherwise) {
    @Nullable String text = System.getProperty(name);
    if (text == null) {
      return otherwise;
    }
    try {
      long value = Long.parseLong(text);
      if (value > 0) {
        return value;
      }
    } catch (NumberFormatException _) {
      // reported below
    }
    throw new IllegalArgumentException(
        "-D" + name + ": not a positive number; got " + text + "; need at least 1");
  }

  private static final class Machine {
    static long bytes() {
      return ManagementFactory.getOperatingSystemMXBean()
              instanceof com.sun.management.OperatingSystemMXBean machine
          ? machine.getTotalMemorySize()
          : Long.MAX_VALUE;
    }
  }
}
