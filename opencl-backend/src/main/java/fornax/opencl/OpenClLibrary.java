package fornax.opencl;

import java.util.ArrayList;
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
    String wanted = Configuration.OPENCL_LIBRARY_NAME.get();
    List<String> reasons = new ArrayList<>();
    try {
      Configuration.OPENCL_EXPLICIT_INIT.set(true);
      for (String name : wanted == null ? NAMES : List.of(wanted)) {
        try {
          CL.create(name);
          return null;
        } catch (UnsatisfiedLinkError _) {
          reasons.add(name);
        }
      }
    } catch (LinkageError | RuntimeException e) {
      return "LWJGL cannot be used: " + e;
    }
    return "no OpenCL loader; looked for " + String.join(", ", reasons);
  }
}
