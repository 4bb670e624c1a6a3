package fornax.train;

import fornax.io.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/// `checksums.sha256`: the SHA-256 of each other file of a folder, as `sha256sum` writes and checks
/// them, and in a last line, a comment to that program, the SHA-256 of the lines before.
final class Checksums {
  static final String FILE = "checksums.sha256";

  private static final int BLOCK_BYTES = 1 << 20;
  private static final long MAX_BYTES = 1 << 16; // far above any, so that no text runs us dry
  private static final String SELF = "# ";

  private Checksums() {}

  /// Writes the file for what is in `folder` and forces all of it to the disk.
  static void write(Path folder) throws IOException {
    String text = lines(folder);
    AtomicFile.replace(folder.resolve(FILE), text + SELF + sha256(text) + "\n");
  }

  /// @throws DamagedCheckpointException if any byte of the folder's files is not what it was, a
  ///   file is missing or one is there besides; the message names the first such file
  static void verify(Path folder) throws IOException {
    Path sums = folder.resolve(FILE);
    if (!Files.isRegularFile(sums)) {
      throw new DamagedCheckpointException(sums, "it is missing");
    }
    if (Files.size(sums) > MAX_BYTES) {
      throw new DamagedCheckpointException(sums, "longer than " + MAX_BYTES + " bytes");
    }
    String text = new String(Files.readAllBytes(sums), StandardCharsets.ISO_8859_1);
    int last = text.lastIndexOf('\n', text.length() - 2) + 1;
    String listed = text.substring(0, last);
    if (!text.substring(last).equals(SELF + sha256(listed) + "\n")) {
      throw new DamagedCheckpointException(sums, "its own SHA-256 is another");
    }
    SortedMap<String, String> wanted = byName(listed);
    SortedMap<String, String> found = byName(lines(folder));
    for (String name : wanted.keySet()) {
      if (!found.containsKey(name)) {
        throw new DamagedCheckpointException(folder.resolve(name), "it is missing");
      }
      if (!wanted.get(name).equals(found.get(name))) {
        throw new DamagedCheckpointException(
            folder.resolve(name), "its SHA-256 is not that in " + FILE);
      }
    }
    for (String name : found.keySet()) {
      if (!wanted.containsKey(name)) {
        throw new DamagedCheckpointException(folder.resolve(name), "it is not in " + FILE);
      }
    }
  }

  private static SortedMap<String, String> byName(String lines) {
    SortedMap<String, String> sums = new TreeMap<>();
    lines
        .lines()
        .forEach(
            line -> {
              String[] parts = line.split("  ", 2);
              String _ = sums.put(parts[1], parts[0]);
            });
    return sums;
  }

  /// One `<digits> <name>` for each file but [#FILE].
  private static String lines(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files = all.filter(file -> !file.endsWith(FILE)).sorted().toList();
    }
    StringBuilder lines = new StringBuilder();
    for (Path file : files) {
      lines.append(sha256(file)).append("  ").append(file.getFileName()).append('\n');
    }
    return lines.toString();
  }

  private static String sha256(Path file) throws IOException {
    MessageDigest digest = digest();
    try (var in = FileChannel.open(file, StandardOpenOption.READ)) {
      var block = ByteBuffer.allocate(BLOCK_BYTES);
      while (in.read(block.clear()) >= 0) {
        digest.update(block.flip());
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static String sha256(String latin) {
    return HexFormat.of().formatHex(digest().digest(latin.getBytes(StandardCharsets.ISO_8859_1)));
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }
}
