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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// `checksums.sha256`: the SHA-256 of each other file of a folder, as `sha256sum` writes and checks
/// them, and in a last line, a comment to that program, the SHA-256 of the lines before.
final class Checksums {
  static final String FILE = "checksums.sha256";

  private static final int BLOCK_BYTES = 1 << 20;
  private static final long MAX_BYTES = 1 << 16; // far above any, so that no text runs us dry
  private static final String SELF = "# ";
  private static final Pattern LINE = Pattern.compile("([0-9a-f]{64})  (.+)");

  private Checksums() {}

  /// Writes the file for what is in `folder` and forces all of it to the disk.
  static void write(Path folder) throws IOException {
    StringBuilder lines = new StringBuilder();
    sums(folder).forEach((name, sum) -> lines.append(sum + "  " + name + "\n"));
    String text = lines.toString();
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
    SortedMap<String, String> wanted = new TreeMap<>();
    for (String line : listed.split("\n")) {
      Matcher parts = LINE.matcher(line);
      if (!parts.matches() || wanted.put(parts.group(2), parts.group(1)) != null) {
        throw new DamagedCheckpointException(sums, "its lines are not those of sha256sum");
      }
    }
    SortedMap<String, String> found = sums(folder);
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

  /// The digits of each file but [#FILE], by its name.
  private static SortedMap<String, String> sums(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files = all.filter(file -> !file.endsWith(FILE)).sorted().toList();
    }
    SortedMap<String, String> sums = new TreeMap<>();
    for (Path file : files) {
      if (!Files.isRegularFile(file)) { // a pipe would keep us waiting
        throw new DamagedCheckpointException(file, "it is no file");
      }
      String _ = sums.put(String.valueOf(file.getFileName()), sha256(file));
    }
    return sums;
  }

  private static String sha256(Path file) throws IOException {
    MessageDigest digest = digest();
    try (var in = FileChannel.open(file, StandardOpenOption.READ)) {
      var block = ByteBuffer.allocate(Math.clamp(in.size() + 1, 1, BLOCK_BYTES));
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
