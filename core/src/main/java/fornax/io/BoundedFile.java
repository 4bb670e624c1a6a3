package fornax.io;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/// Reads files that are read as a whole, such as configs: those that are too long to be one are
/// refused before their bytes are asked for, and so is what has no end, such as a device or a pipe.
public final class BoundedFile {
  private BoundedFile() {}

  /// All of `file`.
  ///
  /// @throws CorruptFileException if it is longer than `mostBytes`
  /// @throws IOException if it is missing, no regular file, or may not be read
  public static byte[] read(Path file, long mostBytes) throws IOException {
    requireRegular(file, "a file");
    long size = Files.size(file);
    if (size > mostBytes) {
      throw new CorruptFileException(file, null, size + " bytes", "at most " + mostBytes);
    }
    return Files.readAllBytes(file);
  }

  /// Makes sure that `file` is one, and not a folder, a pipe or a device.
  ///
  /// @param need what should be there
  /// @throws IOException if it is missing or something else
  public static void requireRegular(Path file, String need) throws IOException {
    if (Files.isRegularFile(file)) {
      return;
    }
    String name = file.toString();
    if (!Files.exists(file)) {
      throw new NoSuchFileException(name, null, "no such file; need " + need);
    }
    String kind = Files.isDirectory(file) ? "a folder" : "a pipe or device";
    throw new FileSystemException(name, null, "is " + kind + "; need " + need);
  }
}
