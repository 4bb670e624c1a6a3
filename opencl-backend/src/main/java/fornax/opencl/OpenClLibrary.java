package fornax.opencl;

import fornax.backend.Settings;
import fornax.io.ResourceFiles;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.net.URL;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.lwjgl.Version;
import org.lwjgl.opencl.CL;
import org.lwjgl.system.Configuration;

/// The system's OpenCL loader, found once.
final class OpenClLibrary {
  /// Debian's run-time package has no link without a version, which is what LWJGL looks for.
  private static final List<String> NAMES =
      List.of("libOpenCL.so.1", "libOpenCL.so", "OpenCL", "libOpenCL.dylib");

  private static final String LWJGL = "/linux/x64/org/lwjgl/liblwjgl.so";

  private static final @Nullable String FAILURE = load();

  private OpenClLibrary() {}

  /// Why the library is not there, or null where it is.
  static @Nullable String failure() {
    return FAILURE;
  }

  private static @Nullable String load() {
    List<String> names = names();
    try {
      unpackLwjgl();
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

  // Where LWJGL does it, it opens what another JVM has written half of, and ends with SIGBUS.
  private static void unpackLwjgl() {
    @Nullable Path cache = Settings.cache();
    @Nullable URL library = OpenClLibrary.class.getResource(LWJGL);
    if (cache == null
        || library == null
        || Configuration.SHARED_LIBRARY_EXTRACT_PATH.get() != null) {
      return;
    }
    try {
      Path file = ResourceFiles.unpack(library, cache.resolve("lwjgl-" + Version.getVersion()));
      Configuration.SHARED_LIBRARY_EXTRACT_PATH.set(file.resolveSibling("").toString());
    } catch (IOException _) {
      return; // LWJGL looks for another place
    }
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
