package fornax.cuda;

import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Compiled code on disk: `FORNAXCU`, the SHA-256 of the file's name and the code, and the code. A
/// driver is never given bytes of which one is not as it was written.
final class KernelFile {
  private static final byte[] MAGIC = "FORNAXCU".getBytes(UTF_8);
  private static final int HASH_BYTES = 32;
  private static final int HEAD_BYTES = MAGIC.length + HASH_BYTES;
  private static final long MAX_BYTES = 1 << 28;

  private final Path path;
  private final String name;

  KernelFile(Path folder, String name) {
    path = folder.resolve(name);
    this.name = name;
  }

  /// The code; null where there is none, or none that is whole.
  ///
  /// @throws IOException if the file cannot be read, or is none
  byte @Nullable [] read() throws IOException {
    if (!Files.exists(path)) {
      return null;
    }
    byte[] file = BoundedFile.read(path, MAX_BYTES);
    if (file.length <= HEAD_BYTES) {
      return null;
    }
    byte[] code = Arrays.copyOfRange(file, HEAD_BYTES, file.length);
    return Arrays.equals(file, 0, HEAD_BYTES, head(code), 0, HEAD_BYTES) ? code : null;
  }

  /// Keeps `code`, in place of what may be there.
  ///
  /// @throws IOException if it cannot be written
  void write(byte[] code) throws IOException {
    AtomicFile.replace(
        path,
        out -> {
          OutputStream to = Channels.newOutputStream(out);
          to.write(head(code));
          to.write(code);
        });
  }

  private byte[] head(byte[] code) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(name.getBytes(UTF_8));
      digest.update((byte) 0);
      byte[] head = Arrays.copyOf(MAGIC, HEAD_BYTES);
      System.arraycopy(digest.digest(code), 0, head, MAGIC.length, HASH_BYTES);
      return head;
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
