package fornax.data;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A folder that is being filled, and then moved to where it is looked for. While this is open, its
/// file `NAME.lock` beside it is locked; the lock ends with the process, so that what a killed one
/// left is told from what another is still filling.
final class UnfinishedFolder implements AutoCloseable {
  private static final String PREFIX = ".unfinished-";
  private static final String LOCK = ".lock";

  // In this process, where closing any channel of a file gives up the system's lock on it.
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path path;
  private final Path lockFile;
  private final FileChannel lock;

  private UnfinishedFolder(Path path, Path lockFile, FileChannel lock) {
    this.path = path;
    this.lockFile = lockFile;
    this.lock = lock;
  }

  /// Makes an empty one in `parent`, which exists, and deletes there what killed processes left.
  ///
  /// @throws IOException if it cannot be made
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  static UnfinishedFolder in(Path parent) throws IOException {
    Path real = parent.toRealPath();
    deleteLeft(real);
    while (true) {
      String name = PREFIX + UUID.randomUUID();
      Path lockFile = real.resolve(name + LOCK);
      boolean _ = HELD.add(lockFile);
      FileChannel lock = null;
      try {
        lock = lock(lockFile, StandardOpenOption.CREATE_NEW);
        if (lock != null) { // or another process took the file for one that was left
          Path folder = Files.createDirectory(real.resolve(name));
          return new UnfinishedFolder(folder, lockFile, lock);
        }
      } finally {
        if (lock == null) {
          boolean _ = HELD.remove(lockFile);
        }
      }
    }
  }

  // Null where another has it, or has deleted the file meanwhile.
  private static @Nullable FileChannel lock(Path file, StandardOpenOption how) throws IOException {
    FileChannel channel = FileChannel.open(file, how, StandardOpenOption.WRITE);
    boolean held = false;
    try {
      held = channel.tryLock() != null && Files.exists(file);
      return held ? channel : null;
    } catch (OverlappingFileLockException _) {
      return null; // another thread of this process is at it
    } finally {
      if (!held) {
        channel.close();
      }
    }
  }

  private static void deleteLeft(Path parent) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(parent, PREFIX + "*" + LOCK)) {
      for (Path file : files) {
        if (HELD.contains(file)) {
          continue;
        }
        String name = file.getFileName().toString();
        Path folder = parent.resolve(name.substring(0, name.length() - LOCK.length()));
        try (FileChannel lock = lock(file, StandardOpenOption.WRITE)) {
          if (lock != null) {
            delete(folder);
            boolean _ = Files.deleteIfExists(file);
          }
        } catch (NoSuchFileException | AccessDeniedException _) {
          // another process was faster, or it is another user's
        }
      }
    }
  }

  /// Deletes a folder of files, if it is there.
  static void delete(Path folder) throws IOException {
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        boolean _ = Files.deleteIfExists(file);
      }
    }
    boolean _ = Files.deleteIfExists(folder);
  }

  Path path() {
    return path;
  }

  /// Deletes the folder if it has not been moved away.
  @Override
  public void close() {
    try (lock) {
      delete(path);
      boolean _ = Files.deleteIfExists(lockFile);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      boolean _ = HELD.remove(lockFile);
    }
  }
}
