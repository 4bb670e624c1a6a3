package fornax.train;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.io.BoundedFile;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/// The right to write to a run's folder: an operating system's lock on its file `.lock`, which ends
/// with the process.
public final class RunLock implements AutoCloseable {
  static final String FILE = ".lock";

  // In this process, where closing any channel of a file gives up the system's lock on it.
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final FileChannel file;
  private final Path folder;

  private RunLock(FileChannel file, Path folder) {
    this.file = file;
    this.folder = folder;
  }

  @MustBeClosed
  static RunLock of(Path folder) throws RunFolderException {
    try {
      Path real = folder.toRealPath();
      if (HELD.add(real)) {
        RunLock lock = null;
        try {
          lock = tryLock(real);
          if (lock != null) {
            return lock;
          }
        } finally {
          if (lock == null) {
            boolean _ = HELD.remove(real);
          }
        }
      }
    } catch (IOException e) {
      throw RunFolder.unwritable(folder, e);
    }
    throw new RunFolderException(
        "run: "
            + folder
            + " is being written to by another training; need one at a time; wait for it, stop it,"
            + " or give another --out");
  }

  private static @Nullable RunLock tryLock(Path folder) throws IOException {
    Path path = folder.resolve(FILE);
    if (Files.exists(path)) {
      BoundedFile.requireRegular(path, "a file .lock, or none"); // a pipe would keep us waiting
    }
    FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (file.tryLock() != null) {
      return new RunLock(file, folder);
    }
    file.close();
    return null;
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException _) {
      // the lock ends with the process
    }
    boolean _ = HELD.remove(folder);
  }
}
