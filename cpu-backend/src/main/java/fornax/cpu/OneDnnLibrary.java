package fornax.cpu;

import fornax.backend.Settings;
import fornax.io.ResourceFiles;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The shared library of oneDNN, out of the jar `org.bytedeco:dnnl:linux-x86_64` on the class path.
/// Only its native files are used: they are copied once to the cache folder.
@SuppressWarnings("restricted") // loading it is its point
final class OneDnnLibrary {
  private static final String PACKAGE = "/org/bytedeco/dnnl/linux-x86_64/";
  private static final String LIBRARY = "libdnnl.so.3";
  private static final String OPENMP = "libgomp.so.1"; // found beside the library

  // The library is linked to OpenCL's loader, which its CPU engine never calls.
  private static final String OPENCL = "libOpenCL.so.1";
  private static final String OPENCL_PACKAGE = "/org/bytedeco/opencl/linux-x86_64/";

  private OneDnnLibrary() {}

  /// Why there is no oneDNN, and what to do about it, in one line.
  static final class UnavailableException extends Exception {
    private static final long serialVersionUID = 1;

    UnavailableException(String message) {
      super(message, null, false, false);
    }
  }

  /// Whether the jar is on the class path.
  static boolean isPresent() {
    return OneDnnLibrary.class.getResource(PACKAGE + LIBRARY) != null;
  }

  /// Loads the library for good.
  static SymbolLookup open() throws UnavailableException {
    if (!isPresent()) {
      throw new UnavailableException(
          "oneDNN is not on the class path; ./fornax fetches it where --matmul onednn is said, Maven"
              + " with -Ponednn");
    }
    if (!System.getProperty("os.name", "").equals("Linux")
        || !System.getProperty("os.arch", "").equals("amd64")) {
      throw new UnavailableException("oneDNN is here for Linux on x86-64 only");
    }
    Path cache = Settings.cache();
    try {
      return cache == null ? openOnce() : open(cache.resolve("onednn"));
    } catch (IOException e) {
      throw new UnavailableException(
          "oneDNN cannot be unpacked: " + e + "; -Dfornax.cache=FOLDER names another place");
    }
  }

  // Leaves no files: what is loaded may be deleted.
  private static SymbolLookup openOnce() throws IOException, UnavailableException {
    Path folder = Files.createTempDirectory("fornax-onednn");
    try {
      return open(folder);
    } finally {
      try (var files = Files.walk(folder)) {
        for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  private static SymbolLookup open(Path folder) throws IOException, UnavailableException {
    loadOpenCl(folder);
    Path library = unpack(PACKAGE, List.of(OPENMP, LIBRARY), folder);
    return load(library);
  }

  // First the system's, so that an OpenCL device beside this one gets it too.
  private static void loadOpenCl(Path folder) throws IOException, UnavailableException {
    try {
      var _ = SymbolLookup.libraryLookup(OPENCL, Arena.global());
    } catch (IllegalArgumentException _) {
      if (OneDnnLibrary.class.getResource(OPENCL_PACKAGE + OPENCL) == null) {
        throw new UnavailableException(
            "oneDNN needs "
                + OPENCL
                + ", of Debian's package ocl-icd-libopencl1 or the jar org.bytedeco:opencl");
      }
      var _ = load(unpack(OPENCL_PACKAGE, List.of(OPENCL), folder));
    }
  }

  private static SymbolLookup load(Path library) throws UnavailableException {
    try {
      return SymbolLookup.libraryLookup(library, Arena.global());
    } catch (IllegalArgumentException _) {
      throw new UnavailableException(
          "oneDNN cannot be loaded; got "
              + library
              + "; need a library for this system, and libstdc++.so.6");
    }
  }

  /// Copies resources to a folder of their contents' own and returns the last one's path.
  private static Path unpack(String from, List<String> names, Path cache) throws IOException {
    Path folder = cache.resolve(checksum(from + names.getLast()));
    Path file = folder;
    for (String name : names) {
      file = ResourceFiles.unpack(resource(from + name), folder);
    }
    return file;
  }

  // Tells versions of a library apart; the jar's directory has it ready.
  private static String checksum(String name) throws IOException {
    URLConnection connection = resource(name).openConnection();
    connection.setUseCaches(false);
    try (InputStream _ = connection.getInputStream()) {
      return connection instanceof JarURLConnection jar
          ? String.format("%08x", jar.getJarEntry().getCrc())
          : String.valueOf(connection.getContentLengthLong());
    }
  }

  private static URL resource(String name) throws IOException {
    @Nullable URL url = OneDnnLibrary.class.getResource(name);
    if (url == null) {
      throw new IOException("no resource " + name);
    }
    return url;
  }
}
