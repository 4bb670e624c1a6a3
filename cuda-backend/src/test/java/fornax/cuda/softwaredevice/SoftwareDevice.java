package fornax.cuda.softwaredevice;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.JCublas2;
import org.jspecify.annotations.Nullable;

/// Puts the software CUDA device under JCuda in this JVM: builds `libcuda.so.1` and
/// `libcublas.so.12` with gcc and loads them before JCuda's natives, which then bind to them.
@SuppressWarnings("restricted") // foreign calls are its point
public final class SoftwareDevice {
  /// What `-Dfornax.require` calls it.
  public static final String REQUIREMENT = "cuda-emulated";

  private static final Path SOURCES = Path.of("software-device").toAbsolutePath();
  private static final Path LIBRARIES = Path.of("target/software-device").toAbsolutePath();
  private static @Nullable String absent;
  private static boolean loaded;
  private static @Nullable MethodHandle set;
  private static @Nullable MethodHandle message;
  private static @Nullable MethodHandle substituted;

  private SoftwareDevice() {}

  /// Loads the device, or ends the test: skipped with the reason where it cannot be built, failed
  /// if `-Dfornax.require` names [#REQUIREMENT].
  public static synchronized void load() {
    if (!loaded) {
      loaded = true;
      absent = tryLoad();
    }
    if (absent != null) {
      String reason = "the software CUDA device is absent: " + absent;
      if (Arrays.asList(System.getProperty("fornax.require", "").split(","))
          .contains(REQUIREMENT)) {
        fail(reason);
      }
      abort(reason);
    }
  }

  private static @Nullable String tryLoad() {
    if (!System.getProperty("os.name").equals("Linux")
        || !System.getProperty("os.arch").equals("amd64")) {
      return "it needs Linux on x86-64";
    }
    try {
      String log = build();
      if (log != null) {
        return log;
      }
      System.load(LIBRARIES.resolve("libcuda.so.1").toString());
      System.load(LIBRARIES.resolve("libcublas.so.12").toString());
      SymbolLookup driver =
          SymbolLookup.libraryLookup(LIBRARIES.resolve("libcuda.so.1"), Arena.global());
      set =
          Linker.nativeLinker()
              .downcallHandle(
                  driver.findOrThrow("softwareCudaSet"),
                  FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
      message =
          Linker.nativeLinker()
              .downcallHandle(
                  driver.findOrThrow("softwareCudaMessage"), FunctionDescriptor.of(ADDRESS));
      substituted =
          Linker.nativeLinker()
              .downcallHandle(
                  driver.findOrThrow("softwareCudaSubstituted"), FunctionDescriptor.of(JAVA_INT));
      loadJcuda();
      return null;
    } catch (IOException e) {
      return e.getMessage();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "interrupted";
    }
  }

  // What went wrong, or null.
  private static @Nullable String build() throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(SOURCES.resolve("build").toString(), LIBRARIES.toString())
            .redirectErrorStream(true)
            .start();
    String log = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(5, TimeUnit.MINUTES)) {
      process.destroyForcibly();
      return "its build took more than five minutes";
    }
    return process.exitValue() == 0 ? null : "its build failed (does it find gcc?): " + log;
  }

  // JCuda unpacks its natives under fixed names: parallel JVMs need folders of their own.
  private static void loadJcuda() throws IOException {
    String before = System.getProperty("java.io.tmpdir");
    Path folder = Files.createTempDirectory("jcuda");
    System.setProperty("java.io.tmpdir", folder.toString());
    try {
      JCudaDriver.setExceptionsEnabled(false);
      JCublas2.setExceptionsEnabled(false);
    } finally {
      System.setProperty("java.io.tmpdir", before);
      try (var files = Files.list(folder)) {
        for (Path file : files.toList()) {
          Files.delete(file); // mapped: no longer needed by name
        }
      }
      Files.delete(folder);
    }
  }

  /// Chooses a mode, such as `ORDER` and `reverse`: software-device/README.md lists them.
  public static void set(String name, String value) {
    if (set == null) {
      throw new IllegalStateException("software device: set before load");
    }
    try (var arena = Arena.ofConfined()) {
      int ok = (int) set.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value));
      if (ok == 0) {
        throw new IllegalArgumentException("software device: " + name + "=" + value + "?");
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new LinkageError("software device: the call failed", e);
    }
  }

  /// Back to what the environment says.
  public static void reset() {
    set("RESET", "");
  }

  /// Why the last call was refused, or what the last fault was: kernel, thread, line.
  public static String message() {
    if (message == null) {
      throw new IllegalStateException("software device: message before load");
    }
    try {
      MemorySegment text = (MemorySegment) message.invokeExact();
      return text.reinterpret(4096).getString(0);
    } catch (Throwable e) {
      throw new LinkageError("software device: the call failed", e);
    }
  }

  /// How many modules the setting `SUBSTITUTE` has taken the place of.
  public static int substituted() {
    if (substituted == null) {
      throw new IllegalStateException("software device: substituted before load");
    }
    try {
      return (int) substituted.invokeExact();
    } catch (Throwable e) {
      throw new LinkageError("software device: the call failed", e);
    }
  }

  /// A PTX file beside the tests.
  static String fixture(String name) {
    try (var in = SoftwareDevice.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalArgumentException("no fixture " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
