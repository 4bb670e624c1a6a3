package fornax.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Maps a regular file for reading, with an error that says what is wrong where there is none.
final class MappedFile {
  private MappedFile() {}

  static MemorySegment map(Path file, String kind, Arena arena) throws IOException {
    BoundedFile.requireRegular(file, "a " + kind + " file");
    try (var channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (AccessDeniedException _) {
      throw new AccessDeniedException(
          file.toString(), null, "may not be read; need read permission");
    }
  }
}
