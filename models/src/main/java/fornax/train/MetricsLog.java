package fornax.train;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// A file of JSON objects, one a line. A line is in the file when [#append] returns, so that what
/// runs beside can follow it and an interrupted run loses none.
public final class MetricsLog implements AutoCloseable {
  private final Path path;
  private final FileChannel file;

  private MetricsLog(Path path, FileChannel file) {
    this.path = path;
    this.file = file;
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the channel closes with the result
  static MetricsLog open(Path path, long keptBytes) throws IOException {
    FileChannel file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      var _ = file.truncate(keptBytes);
      var _ = file.truncate(lastLineEnd(file));
      var _ = file.position(file.size());
      return new MetricsLog(path, file);
    } catch (Throwable e) {
      file.close();
      throw e;
    }
  }

  /// Appends `metrics`, a record or a map, as one line. A value that is not finite is written as
  /// the string `"NaN"`, `"Infinity"` or `"-Infinity"`, since JSON has no such numbers.
  ///
  /// @throws IOException if it cannot be written
  public void append(Object metrics) throws IOException {
    String line = RunFolder.JSON.writeValueAsString(metrics) + "\n";
    ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
    try {
      while (bytes.hasRemaining()) {
        var _ = file.write(bytes);
      }
    } catch (ClosedChannelException e) {
      throw e;
    } catch (IOException e) {
      throw unwritten(e);
    }
  }

  /// What a full disk says, with the file's name.
  private FileSystemException unwritten(IOException fault) {
    var named =
        new FileSystemException(path.toString(), null, "cannot be written: " + fault.getMessage());
    named.initCause(fault);
    return named;
  }

  /// Forces what was appended to the disk; returns how long the file is.
  ///
  /// @throws IOException if it cannot be written
  public long force() throws IOException {
    try {
      file.force(true);
    } catch (IOException e) {
      throw unwritten(e);
    }
    return file.position();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /// The place after the last newline; 0 where there is none.
  private static long lastLineEnd(FileChannel file) throws IOException {
    var block = ByteBuffer.allocate(4096);
    for (long end = file.size(); end > 0; end -= block.capacity()) {
      long begin = Math.max(0, end - block.capacity());
      block.clear().limit((int) (end - begin));
      while (block.hasRemaining() && file.read(block, begin + block.position()) >= 0) {}
      for (int i = block.position() - 1; i >= 0; i--) {
        if (block.get(i) == '\n') {
          return begin + i + 1;
        }
      }
    }
    return 0;
  }
}
