package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// What others wrote and we use is what it was: each jar on the class path of every module and its
/// tests stands in `THIRD-PARTY.md`, with its licence and its SHA-256.
class DependenciesTest {
  private static final String FILE = "THIRD-PARTY.md";

  /// A row of the table: `| jar | licence | SHA-256 |`.
  private record Row(String licence, String sha256) {}

  private static Map<String, Row> table() throws IOException {
    Map<String, Row> rows = new TreeMap<>();
    for (String line : Files.readAllLines(root().resolve(FILE))) {
      List<String> cells = Stream.of(line.split("\\|")).map(String::strip).toList();
      if (cells.size() == 4 && cells.get(1).endsWith(".jar`")) {
        Row before =
            rows.put(
                cells.get(1).replace("`", ""),
                new Row(cells.get(2), cells.get(3).replace("`", "")));
        assertTrue(before == null, () -> cells.get(1) + " stands twice");
      }
    }
    return rows;
  }

  private static Path root() {
    Path path = Path.of("").toAbsolutePath();
    while (!Files.isRegularFile(path.resolve(FILE))) {
      path = path.getParent();
      if (path == null) {
        throw new IllegalStateException("no " + FILE);
      }
    }
    return path;
  }

  private static Map<String, String> jars() throws IOException, NoSuchAlgorithmException {
    Map<String, String> jars = new TreeMap<>();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path jar = Path.of(entry);
      String name = String.valueOf(jar.getFileName());
      if (name.endsWith(".jar") && !name.startsWith("fornax-") && !name.contains("surefire")) {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(jar));
        String _ = jars.put(name, HexFormat.of().formatHex(digest));
      }
    }
    return jars;
  }

  @Test
  void eachJarIsTheOneThatIsListed() throws IOException, NoSuchAlgorithmException {
    Map<String, Row> table = table();
    Map<String, String> jars = jars();
    assertTrue(jars.size() > 20, () -> "too few jars to be all: " + jars.keySet());
    StringBuilder missing = new StringBuilder();
    jars.forEach(
        (name, sha256) -> {
          Row row = table.get(name);
          if (row == null || !row.sha256().equals(sha256)) {
            missing.append("| `" + name + "` | LICENCE | `" + sha256 + "` |\n");
          }
        });
    assertEquals("", missing.toString(), "rows that " + FILE + " lacks, or has with another hash");
    for (Map.Entry<String, Row> row : table.entrySet()) {
      assertFalse(row.getValue().licence().isBlank(), row.getKey());
      assertFalse(row.getValue().licence().contains("LICENCE"), row.getKey());
    }
  }
}
