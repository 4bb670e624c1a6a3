package fornax.data;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/// A file of a dependency, known by its checksum.
record Resource(String path, String sha256) {
  /// Its bytes.
  ///
  /// @param dependency where it comes from, for the message
  /// @throws DataException if it is missing or another version
  byte[] read(String dependency) throws IOException {
    ClassLoader loader = Resource.class.getClassLoader();
    try (InputStream in =
        loader == null
            ? ClassLoader.getSystemResourceAsStream(path)
            : loader.getResourceAsStream(path)) {
      if (in == null) {
        throw new DataException("data: " + path + " is not on the class path; need " + dependency);
      }
      byte[] bytes = in.readAllBytes();
      check(path, bytes, sha256, dependency);
      return bytes;
    }
  }

  /// @throws DataException if the SHA-256 of `bytes` is not `sha256`
  static void check(String name, byte[] bytes, String sha256, String source) throws DataException {
    String found = sha256(bytes);
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
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
