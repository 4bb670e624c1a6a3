package fornax.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/// A file of a dependency, known by its checksum.
record Resource(String path, String sha256) {
  private static final int CHUNK = 1 << 16;

  /// Its bytes.
  ///
  /// @param dependency where it comes from, for the message
  /// @throws DataException if it is missing or another version
  byte[] read(String dependency) throws IOException {
    try (InputStream in = open()) {
      if (in == null) {
        throw new DataException("data: " + path + " is not on the class path; need " + dependency);
      }
      byte[] bytes = in.readAllBytes();
      check(path, bytes, sha256, dependency);
      return bytes;
    }
  }

  /// Its bytes as they come, unchecked; null where it is not on the class path.
  @Nullable InputStream open() {
    ClassLoader loader = Resource.class.getClassLoader();
    return loader == null
        ? ClassLoader.getSystemResourceAsStream(path)
        : loader.getResourceAsStream(path);
  }

  /// Whether `file` is this.
  boolean isAt(Path file) throws IOException {
    return sha256(file).equals(sha256);
  }

  /// @throws DataException if `file` is not this
  void requireAt(Path file, String source) throws IOException {
    check(path, sha256(file), sha256, source);
  }

  /// @throws DataException if the SHA-256 of `bytes` is not `sha256`
  static void check(String name, byte[] bytes, String sha256, String source) throws DataException {
    check(name, sha256(bytes), sha256, source);
  }

  private static void check(String name, String found, String sha256, String source)
      throws DataException {
    if (!found.equals(sha256)) {
      throw new DataException(
          "data: "
              + name
              + " has the SHA-256 "
              + found
              + "; need "
              + sha256
              + ", that of "
              + source);
    }
  }

  private static String sha256(byte[] bytes) {
    return HexFormat.of().formatHex(digest().digest(bytes));
  }

  private static String sha256(Path file) throws IOException {
    MessageDigest digest = digest();
    try (InputStream in = Files.newInputStream(file)) {
      byte[] chunk = new byte[CHUNK];
      for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
        digest.update(chunk, 0, n);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
