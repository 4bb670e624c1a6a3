package fornax.opencl;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/// Compiled programs on disk, one file each, named by what they were compiled from and for.
///
/// A file is `FORNAXCL`, the SHA-256 of its key and program, and the program. A file that is not
/// that is taken for missing, and written over. What cannot be written is left unwritten.
final class ProgramCache {
  private static final byte[] MAGIC = "FORNAXCL".getBytes(UTF_8);
  private static final int HASH_BYTES = 32;

  private final Path directory;

  ProgramCache(Path directory) {
    this.directory = directory;
  }

  /// The name of a program by its source, the compiler's options, and the device with its driver's
  /// version.
  static String key(String source, String options, String device) {
    return HexFormat.of()
        .formatHex(hash((options + "\0" + device + "\0" + source).getBytes(UTF_8)));
  }

  /// The program `key`, or null where there is none that is whole.
  byte @Nullable [] read(String key) {
    try {
      byte[] file = Files.readAllBytes(path(key));
      int head = MAGIC.length + HASH_BYTES;
      if (file.length <= head || !Arrays.equals(file, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
        return null;
      }
      byte[] program = Arrays.copyOfRange(file, head, file.length);
      byte[] hash = Arrays.copyOfRange(file, MAGIC.length, head);
      return Arrays.equals(hash, hash(key.getBytes(UTF_8), program)) ? program : null;
    } catch (IOException _) {
      return null;
    }
  }

  /// Keeps `program` under `key`.
  void write(String key, byte[] program) {
    try {
      Files.createDirectories(directory);
      Path fresh = Files.createTempFile(directory, key, ".new");
      try {
        byte[] hash = hash(key.getBytes(UTF_8), program);
        byte[] file = Arrays.copyOf(MAGIC, MAGIC.length + HASH_BYTES + program.length);
        System.arraycopy(hash, 0, file, MAGIC.length, HASH_BYTES);
        System.arraycopy(program, 0, file, MAGIC.length + HASH_BYTES, program.length);
        Files.write(fresh, file);
        Files.move(fresh, path(key), StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(fresh);
      }
    } catch (IOException _) {
      // The program is compiled again next time.
    }
  }

  private Path path(String key) {
    return directory.resolve(key + ".bin");
  }

  private static byte[] hash(byte[]... parts) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (byte[] part : parts) {
        digest.update(part);
      }
      return digest.digest();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
