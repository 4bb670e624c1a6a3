package fornax.io;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLConnection;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Copies resources to files, for what needs a file's path, such as shared libraries.
///
/// Any number of JVMs may share the folder: a file appears in it whole, is written by one of them,
/// and is never replaced by the same again, since another may have it mapped.
public final class ResourceFiles {
  private static final String LOCK = ".lock";

  private ResourceFiles() {}

  /// The resource as a file of its name in `folder`. A file of the resource's size is taken as it
  /// is.
  ///
  /// @param folder made if it is not there
  /// @throws IOException if the resource cannot be read or the folder cannot be written to
  public static Path unpack(URL resource, Path folder) throws IOException {
    String path = resource.getPath();
    Path file = folder.resolve(path.substring(path.lastIndexOf('/') + 1));
    URLConnection connection = resource.openConnection();
    connection.setUseCaches(false);
    try (InputStream content = connection.getInputStream()) {
      if (!isWhole(file, connection)) {
        unpack(connection, content, file);
      }
    }
    return file;
  }

  // One thread of one JVM at a time.
  private static void unpack(URLConnection connection, InputStream content, Path file)
      throws IOException {
    synchronized (ResourceFiles.class) {
      Path folder = Files.createDirectories(file.resolveSibling(""));
      try (var channel =
              FileChannel.open(
                  folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
          var _ = channel.lock()) {
        if (!isWhole(file, connection)) {
          AtomicFile.replace(file, out -> content.transferTo(Channels.newOutputStream(out)));
        }
      }
    }
  }

  private static boolean isWhole(Path file, URLConnection connection) throws IOException {
    return Files.exists(file) && Files.size(file) == connection.getContentLengthLong();
  }
}
