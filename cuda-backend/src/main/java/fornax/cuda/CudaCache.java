package fornax.cuda;

import fornax.backend.Settings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// The folders of unpacked libraries and compiled kernels. Files appear in them whole or not at all
/// ([fornax.io.AtomicFile]), so that any number of JVMs may share them.
final class CudaCache {
  private CudaCache() {}

  /// The folder `name` in the cache, which exists when this returns.
  ///
  /// @throws UncheckedIOException if it cannot be made
  static Path folder(String name) {
    Path folder = Settings.cacheFolder().resolve(name);
    try {
      return Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "cuda: cannot make the cache folder "
              + folder
              + "; -Dfornax.cache=FOLDER names another place",
          e);
    }
  }
}
