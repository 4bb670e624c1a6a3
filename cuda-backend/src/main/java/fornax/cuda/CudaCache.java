package fornax.cuda;

import fornax.backend.Settings;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.jspecify.annotations.Nullable;

/// The folder of unpacked libraries and compiled kernels. Files appear in it whole or not at all,
/// so that any number of JVMs may share it.
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

  /// Writes `content` to `file`, which other JVMs see complete or not at all.
  static void write(Path file, InputStream content) throws IOException {
    Path temporary = Files.createTempFile(file.getParent(), file.getFileName().toString(), ".part");
    try {
      Files.copy(content, temporary, StandardCopyOption.REPLACE_EXISTING);
      try {
        Files.move(
            temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } catch (AtomicMoveNotSupportedException _) {
        Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
      }
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /// The resource `name` as a file of the same name in `folder`, or null where there is no such
  /// resource. A file of the resource's size is taken as it is.
  static @Nullable Path unpack(String name, Path folder) throws IOException {
    var url = CudaCache.class.getResource(name);
    if (url == null) {
      return null;
    }
    Path file = folder.resolve(name.substring(name.lastIndexOf('/') + 1));
    var connection = url.openConnection();
    connection.setUseCaches(false);
    try (InputStream content = connection.getInputStream()) {
      if (!Files.exists(file) || Files.size(file) != connection.getContentLengthLong()) {
        write(file, content);
      }
    }
    return file;
  }
}
