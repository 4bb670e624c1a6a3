package fornax.benchmarks;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.cli.UserException;
import fornax.io.AtomicFile;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/// The fractions of the limit that hot paths are known to reach, by machine, in a committed file.
final class Baseline {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(
              SerializationFeature.INDENT_OUTPUT, SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
          .build();
  private static final MathContext DIGITS = new MathContext(4);

  private final Path file;
  private final SortedMap<String, SortedMap<String, Double>> machines;

  private Baseline(Path file, SortedMap<String, SortedMap<String, Double>> machines) {
    this.file = file;
    this.machines = machines;
  }

  /// Reads `file`; where there is none, no machine is known.
  ///
  /// @throws UserException if it is no such file
  static Baseline read(Path file) throws IOException {
    if (!Files.exists(file)) {
      return new Baseline(file, new TreeMap<>());
    }
    try {
      return new Baseline(
          file,
          JSON.readValue(
              Files.readAllBytes(file),
              new TypeReference<TreeMap<String, SortedMap<String, Double>>>() {}));
    } catch (JacksonException e) {
      throw new UserException(
          "bench: "
              + file
              + " is not a baseline: "
              + e.getOriginalMessage()
              + "; need an object of machines, each an object of numbers",
          e);
    }
  }

  /// `benchmarks/baseline.json` of the checkout that this class was built in.
  ///
  /// @throws UserException if it runs from elsewhere
  static Path file() {
    Path start;
    try {
      URI own = Baseline.class.getProtectionDomain().getCodeSource().getLocation().toURI();
      start = Path.of(own);
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
    for (Path path = start; path != null; path = path.getParent()) {
      Path module = path.resolve("benchmarks");
      if (Files.isRegularFile(path.resolve("fornax")) && Files.isDirectory(module)) {
        return module.resolve("baseline.json");
      }
    }
    throw new UserException(
        "bench: no checkout above " + start + "; need one for benchmarks/baseline.json");
  }

  /// The machines that something is known of.
  Set<String> machines() {
    return Collections.unmodifiableSet(machines.keySet());
  }

  /// What is known of `machine`; empty where nothing is.
  Map<String, Double> of(String machine) {
    return machines.getOrDefault(machine, new TreeMap<>());
  }

  /// Replaces what is known of `machine` and writes the file.
  void accept(String machine, Map<String, Double> fractions) throws IOException {
    SortedMap<String, Double> rounded = new TreeMap<>();
    fractions.forEach(
        (path, value) -> rounded.put(path, BigDecimal.valueOf(value).round(DIGITS).doubleValue()));
    machines.put(machine, rounded);
    AtomicFile.replace(file, JSON.writeValueAsString(machines) + "\n");
  }
}
