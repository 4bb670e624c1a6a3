package fornax.cuda;

import fornax.io.ResourceFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.net.URL;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Finds the shared libraries and loads them by their absolute paths, before anything that links
/// against them: the dynamic linker takes a library that is already loaded under its name.
///
/// The driver comes from the system's `libcuda.so.1` and from nowhere else. NVRTC and cuBLAS are
/// looked for in this order: the dynamic linker's own places (`ldconfig`, `LD_LIBRARY_PATH`);
/// `CUDA_HOME` and `CUDA_PATH`; `/usr/local/cuda*` and `/opt/cuda`; the `site-packages` of Python's
/// nvidia wheels; jars on the class path, unpacked into the cache.
final class CudaLibraries {
  /// The major versions of NVRTC that are known to work, the preferred first.
  private static final List<Integer> NVRTC_MAJORS = List.of(12, 13);

  private static final String JAR_FOLDER = "/org/bytedeco/cuda/linux-x86_64/";

  private CudaLibraries() {}

  /// A library that was looked for.
  ///
  /// @param name the file's name
  /// @param path where it was found; null where it was not
  /// @param symbols its functions; null where it was not found
  /// @param places where it was looked for, for the report
  record Library(
      String name, @Nullable String path, @Nullable SymbolLookup symbols, List<String> places) {
    boolean found() {
      return symbols != null;
    }

    /// `libnvrtc.so.12: /usr/local/cuda/lib64/libnvrtc.so.12`, or what is missing and where it was
    /// looked for.
    @Override
    public String toString() {
      return name
          + ": "
          + (path != null ? path : "not found; looked for in " + String.join(", ", places));
    }
  }

  /// The driver.
  static Library driver() {
    String name = "libcuda.so.1";
    SymbolLookup symbols = open(name);
    return new Library(
        name,
        symbols == null ? null : loadedFrom(name),
        symbols,
        List.of("the dynamic linker's places"));
  }

  /// NVRTC, of the best version that can be found.
  static Library nvrtc() {
    List<String> looked = new ArrayList<>();
    for (int major : NVRTC_MAJORS) {
      Library library = find("libnvrtc.so." + major, "libnvrtc-builtins.so." + major, true);
      if (library.found()) {
        return library;
      }
      library.places().stream().filter(place -> !looked.contains(place)).forEach(looked::add);
    }
    return new Library("libnvrtc.so.12", null, null, looked);
  }

  /// cuBLAS 12, which JCublas2 links against.
  static Library cublas() {
    return find("libcublas.so.12", "libcublasLt.so.12", false);
  }

  // `companion` is the start of the name of a library that `name` opens by itself, from no place
  // that we can name: it must be loaded first.
  private static Library find(String name, String companion, boolean companionNeeded) {
    List<String> places = new ArrayList<>();
    SymbolLookup symbols = open(name);
    if (symbols != null) {
      String path = loadedFrom(name);
      @Nullable Path folder = path == null ? null : Path.of(path).getParent();
      if (folder != null) {
        openCompanion(folder, companion);
      }
      return new Library(name, path == null ? name : path, symbols, places);
    }
    places.add("the dynamic linker's places");
    for (Path folder : folders()) {
      Path file = folder.resolve(name);
      if (Files.exists(file)) {
        openCompanion(folder, companion);
        symbols = open(file.toString());
        if (symbols != null) {
          return new Library(name, file.toString(), symbols, places);
        }
      }
      places.add(folder.toString());
    }
    Library fromJar = unpack(name, companion, companionNeeded);
    if (fromJar != null) {
      return fromJar;
    }
    places.add("jars on the class path");
    return new Library(name, null, null, places);
  }

  private static @Nullable Library unpack(String name, String companion, boolean companionNeeded) {
    try {
      URL resource = CudaLibraries.class.getResource(JAR_FOLDER + name);
      URL beside = companionInJar(companion);
      if (resource == null || (beside == null && companionNeeded)) {
        return null;
      }
      Path folder = CudaCache.folder("libraries");
      Path file = ResourceFiles.unpack(resource, folder);
      if (beside != null) {
        SymbolLookup _ = open(ResourceFiles.unpack(beside, folder).toString());
      }
      SymbolLookup symbols = open(file.toString());
      return symbols == null
          ? null
          : new Library(name, file + " (from a jar on the class path)", symbols, List.of());
    } catch (IOException | UncheckedIOException e) {
      System.getLogger("fornax.cuda")
          .log(System.Logger.Level.WARNING, "cuda: cannot unpack " + name + " from its jar", e);
      return null;
    }
  }

  // The builtins carry the minor version in their names.
  private static @Nullable URL companionInJar(String companion) {
    URL resource = CudaLibraries.class.getResource(JAR_FOLDER + companion);
    for (int minor = 0; resource == null && minor < 20; minor++) {
      resource = CudaLibraries.class.getResource(JAR_FOLDER + companion + "." + minor);
    }
    return resource;
  }

  private static void openCompanion(Path folder, String companion) {
    Pattern name = Pattern.compile(Pattern.quote(companion) + "(\\.\\d+)*");
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(
            folder, file -> name.matcher(String.valueOf(file.getFileName())).matches())) {
      for (Path file : files) {
        if (open(file.toString()) != null) {
          return;
        }
      }
    } catch (IOException _) {
      // the library itself will say what it lacks
    }
  }

  // Libraries stay loaded: JCuda's natives and the driver keep pointers into them.
  @SuppressWarnings("restricted") // loading libraries is this class's task
  private static @Nullable SymbolLookup open(String nameOrPath) {
    try {
      return SymbolLookup.libraryLookup(nameOrPath, Arena.global());
    } catch (IllegalArgumentException _) {
      return null;
    }
  }

  // Where the dynamic linker found what it calls `name`.
  private static @Nullable String loadedFrom(String name) {
    Path maps = Path.of("/proc/self/maps"); // Linux
    String stem = name.substring(0, name.indexOf(".so"));
    try (Stream<String> lines = Files.lines(maps)) {
      return lines
          .filter(line -> line.indexOf('/') >= 0)
          .map(line -> line.substring(line.indexOf('/')))
          .filter(path -> path.substring(path.lastIndexOf('/') + 1).startsWith(stem + ".so"))
          .findFirst()
          .orElse(null);
    } catch (IOException | UncheckedIOException _) {
      return null;
    }
  }

  /// The folders that are searched after the dynamic linker's places; those that exist.
  private static List<Path> folders() {
    List<Path> roots = new ArrayList<>();
    for (String variable : List.of("CUDA_HOME", "CUDA_PATH")) {
      String value = System.getenv(variable);
      if (value != null && !value.isEmpty()) {
        roots.add(Path.of(value));
      }
    }
    roots.addAll(children(Path.of("/usr/local"), "cuda*"));
    roots.add(Path.of("/opt/cuda"));
    List<Path> folders = new ArrayList<>();
    for (Path root : roots) {
      folders.add(root.resolve("lib64"));
      folders.add(root.resolve("lib"));
      folders.addAll(
          children(root.resolve("targets"), "*-linux").stream()
              .map(target -> target.resolve("lib"))
              .toList());
    }
    for (Path site : sitePackages()) {
      for (Path wheel : children(site.resolve("nvidia"), "*")) {
        folders.add(wheel.resolve("lib"));
      }
    }
    String conda = System.getenv("CONDA_PREFIX");
    if (conda != null) {
      folders.add(Path.of(conda, "lib"));
    }
    return folders.stream().filter(Files::isDirectory).distinct().toList();
  }

  private static List<Path> sitePackages() {
    List<Path> roots = new ArrayList<>();
    for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
      String value = System.getenv(variable);
      if (value != null && !value.isEmpty()) {
        roots.add(Path.of(value));
      }
    }
    roots.add(Path.of(System.getProperty("user.home", "/"), ".local"));
    roots.add(Path.of("/usr/local"));
    roots.add(Path.of("/usr"));
    List<Path> sites = new ArrayList<>();
    for (Path root : roots) {
      for (Path python : children(root.resolve("lib"), "python3*")) {
        sites.add(python.resolve("site-packages"));
        sites.add(python.resolve("dist-packages"));
      }
    }
    return sites;
  }

  // The newest version's folder first.
  private static List<Path> children(Path folder, String pattern) {
    List<Path> found = new ArrayList<>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, pattern)) {
        files.forEach(found::add);
      } catch (IOException _) {
        return List.of();
      }
    }
    found.sort(Comparator.<Path>naturalOrder().reversed());
    return found;
  }
}
