package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;

class GuardTest {
  private final ByteArrayOutputStream said = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);

  /// A guard whose measurements of each path are those given, one after the other; the last one
  /// stays.
  private Guard<Deque<Double>> planted(Map<String, List<Double>> measurements) {
    SequencedMap<String, Deque<Double>> paths = new LinkedHashMap<>();
    measurements.forEach((name, values) -> paths.put(name, new ArrayDeque<>(values)));
    ToDoubleFunction<Deque<Double>> meter =
        values -> values.size() > 1 ? values.remove() : values.element();
    return new Guard<>(paths, meter, meter, out);
  }

  private String said() {
    return said.toString(StandardCharsets.UTF_8);
  }

  private int check(Map<String, List<Double>> measurements, Map<String, Double> baseline) {
    return Benchmarks.check(planted(measurements), baseline, out);
  }

  @Test
  void unchanged_isQuiet() {
    assertEquals(0, check(Map.of("a", List.of(0.5)), Map.of("a", 0.5)));
    assertTrue(said().contains("nothing is more than 20 % slower"), said());
  }

  /// A fraction of 0.5 / 1.3 is a time of 1.3.
  @Test
  void thirtyPercentSlower_failsAndIsNamed() {
    SequencedMap<String, List<Double>> measurements = new LinkedHashMap<>();
    measurements.put("matmul 384", List.of(0.7));
    measurements.put("softmax 256", List.of(0.5 / 1.3));
    measurements.put("gelu 768", List.of(0.2 / 1.5));
    assertEquals(
        1, check(measurements, Map.of("matmul 384", 0.7, "softmax 256", 0.5, "gelu 768", 0.2)));
    List<String> named = said().lines().filter(line -> line.startsWith("regression: ")).toList();
    assertEquals(
        List.of(
            "regression: softmax 256 is 30 % slower: 38.5 % of the limit, once 50.0 %",
            "regression: gelu 768 is 50 % slower: 13.3 % of the limit, once 20.0 %"),
        named);
  }

  @Test
  void toleranceIsOfTheTime() {
    assertEquals(0, check(Map.of("a", List.of(0.5 / 1.19)), Map.of("a", 0.5)));
    assertEquals(1, check(Map.of("a", List.of(0.5 / 1.21)), Map.of("a", 0.5)));
  }

  @Test
  void disturbance_isMeasuredAgain() {
    assertEquals(0, check(Map.of("a", List.of(0.1, 0.2, 0.3, 0.49)), Map.of("a", 0.5)));
    assertEquals(1, check(Map.of("a", List.of(0.1, 0.2, 0.3, 0.2, 0.1, 0.49)), Map.of("a", 0.5)));
  }

  @Test
  void unknownMachine_reportsAndPasses() {
    assertEquals(0, check(Map.of("a", List.of(0.001)), Map.of()));
    assertTrue(said().contains("no baseline for this machine"), said());
    assertTrue(said().contains("0.10 %"), said());
  }

  @Test
  void newPath_isShownWithoutVerdict() {
    assertEquals(0, check(Map.of("new", List.of(0.3)), Map.of("old", 0.5)));
    assertTrue(said().lines().anyMatch(line -> line.matches("new .* no baseline")), said());
  }

  @Test
  void faster_isSaid() {
    assertEquals(0, check(Map.of("a", List.of(0.9)), Map.of("a", 0.5)));
    assertTrue(said().lines().anyMatch(line -> line.matches("a .* -44 % +faster")), said());
  }

  @Test
  void baseline_isTheMedian() {
    var guard = planted(Map.of("a", List.of(0.9, 0.5, 0.6)));
    assertEquals(Map.of("a", 0.6), guard.baseline(3));
  }
}
