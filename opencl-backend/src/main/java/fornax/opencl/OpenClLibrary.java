package fornax.opencl;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.lwjgl.opencl.CL;
import org.lwjgl.system.Configuration;

/// The system's OpenCL loader, found once.
final class OpenClLibrary {
  /// Debian's run-time package has no link without a version, which is what LWJGL looks for.
  private static final List<String> NAMES =
      List.of("libOpenCL.so.1", "libOpenCL.so", "OpenCL", "libOpenCL.dylib");

  private static final @Nullable String FAILURE = load();

  private OpenClLibrary() {}

  /// Why the library is not there, or null where it is.
  static @Nullable String failure() {
    return FAILURE;
  }

  private static @Nullable String load() {
    List<String> names = names();
    try {
      Configuration.OPENCL_EXPLICIT_INIT.set(true);
      for (String name : names) {
        if (exists(name)) {
          CL.create(name);
          return null;
        }
      }
    } catch (LinkageError | RuntimeException e) {
      return "LWJGL cannot be used: " + e;
    }
    return "no OpenCL loader; looked for " + String.join(", ", names);
  }

  private static List<String> names() {
    String wanted = Configuration.OPENCL_LIBRARY_NAME.get();
    if (wanted != null) {
      return List.of(wanted);
    }
    // `oclgrind` preloads its own library, which only those who link to OpenCL would notice.
    for (String preloaded : System.getenv().getOrDefault("LD_PRELOAD", "").split("[: ]", 0)) {
      if (preloaded.contains("liboclgrind")) {
        return List.of(preloaded);
      }
    }
    return NAMES;
  }

  // LWJGL complains loudly about what it does not find.
  @SuppressWarnings("restricted")
  private static boolean exists(String name) {
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup _ = SymbolLookup.libraryLookup(name, arena);
      return true;
    } catch (IllegalArgumentException _) {
      return false;
    }
  }
}
