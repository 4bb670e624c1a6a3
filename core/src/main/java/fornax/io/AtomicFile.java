package fornax.io;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/// Replaces a file as a whole: readers see the old contents or all of the new ones, also after a
/// crash. The contents go to a temporary file beside the target, are forced to the disk, and are
/// then renamed over it; on failure the temporary file is removed and the target is untouched.
public final class AtomicFile {
  private static final long CHUNK_BYTES =
      1 << 20; // a larger heap buffer would be copied as a whole

  private AtomicFile() {}

  /// Writes a file's contents.
  @FunctionalInterface
  public interface Contents {
    /// Writes everything to `out`, which the caller closes.
    void writeTo(WritableByteChannel out) throws IOException;
  }

  /// Replaces `target` by what `contents` writes.
  ///
  /// @throws IOException if the folder cannot be written to, or whatever `contents` throws
  public static void replace(Path target, Contents contents) throws IOException {
    Path whole = target.toAbsolutePath();
    Path name = whole.getFileName();
    if (name == null || Files.isDirectory(whole)) {
      throw new FileSystemException(target.toString(), null, "is a folder; need a file name");
    }
    Path temporary =
        whole.resolveSibling(
            "." + name + "." + ProcessHandle.current().pid() + "-" + System.nanoTime() + ".tmp");
    try (var out =
        FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      contents.writeTo(new Named(target, out));
      try {
        out.force(true);
      } catch (IOException e) {
        throw unwritten(target, e);
      }
    } catch (FileSystemException e) {
      boolean _ = Files.deleteIfExists(temporary);
      throw e.getFile() != null && e.getFile().equals(temporary.toString()) ? named(target, e) : e;
    } catch (Throwable e) {
      boolean _ = Files.deleteIfExists(temporary);
      throw e;
    }
    try {
      var _ = Files.move(temporary, whole, StandardCopyOption.ATOMIC_MOVE);
    } catch (Throwable e) {
      boolean _ = Files.deleteIfExists(temporary);
      throw e;
    }
    forceFolder(whole);
  }

  /// Replaces `target` by `text` in UTF-8.
  ///
  /// @throws IOException if the folder cannot be written to
  public static void replace(Path target, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    replace(target, out -> writeFully(out, MemorySegment.ofArray(bytes)));
  }

  static void writeFully(WritableByteChannel out, MemorySegment bytes) throws IOException {
    for (long at = 0; at < bytes.byteSize(); at += CHUNK_BYTES) {
      long end = Math.min(bytes.byteSize(), at + CHUNK_BYTES);
      ByteBuffer chunk = bytes.asSlice(at, end - at).asByteBuffer();
      while (chunk.hasRemaining()) {
        var _ = out.write(chunk);
      }
    }
  }

  /// What a disk says that is full or broken, with the file's name, which it leaves out.
  private static FileSystemException unwritten(Path target, IOException fault) {
    var named =
        new FileSystemException(
            target.toString(),
            null,
            "cannot be written: " + fault.getMessage() + "; what was there before is kept");
    named.initCause(fault);
    return named;
  }

  /// A channel whose faults bear the name of the file.
  private record Named(Path target, FileChannel out) implements WritableByteChannel {
    @Override
    public int write(ByteBuffer bytes) throws IOException {
      try {
        return out.write(bytes);
      } catch (ClosedChannelException e) {
        throw e;
      } catch (IOException e) {
        throw unwritten(target, e);
      }
    }

    @Override
    public boolean isOpen() {
      return out.isOpen();
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }

  /// The same fault, with the name the caller knows and what it takes to mend it.
  private static FileSystemException named(Path target, FileSystemException fault) {
    String reason =
        switch (fault) {
          case NoSuchFileException _ -> "its folder does not exist; create it first";
          case AccessDeniedException _ -> "its folder may not be written to; need write permission";
          default -> "cannot be written: " + fault.getReason();
        };
    var named = new FileSystemException(target.toString(), null, reason);
    named.initCause(fault);
    return named;
  }

  /// Makes the rename itself last. Some systems (Windows) open no folders; the file is whole
  /// anyway.
  private static void forceFolder(Path file) {
    Path folder = file.getParent();
    if (folder == null) {
      return;
    }
    try (var channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (IOException _) {
      return;
    }
  }
}
