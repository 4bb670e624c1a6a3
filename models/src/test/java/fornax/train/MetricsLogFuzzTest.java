package fornax.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// Whatever `metrics.jsonl` holds, its whole lines are kept, and a new one is a line of its own.
class MetricsLogFuzzTest {
  private static final String LINES = "{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":\"NaN\"}\n";

  private static final FuzzFolder FOLDER =
      FuzzFolder.of(new LinkedHashMap<>(Map.of("metrics.jsonl", LINES.getBytes(UTF_8))), 1);

  static final Fuzz FUZZ =
      Fuzz.of("metrics", MetricsLogFuzzTest::read).seeds(FOLDER.seeds()).words("\n");

  private static void read(byte[] input) throws IOException {
    Path folder = FOLDER.with(input);
    var run = new RunFolder(folder);
    byte[] all = Files.readAllBytes(run.metrics());
    int kept = input.length == 0 ? 0 : input[0] & 0xff;
    int end = Math.min(kept, all.length);
    while (end > 0 && all[end - 1] != '\n') {
      end--;
    }
    try (MetricsLog metrics = run.continueMetrics(kept)) {
      metrics.append(Map.of("step", 3));
    }
    byte[] now = Files.readAllBytes(run.metrics());
    byte[] line = "{\"step\":3}\n".getBytes(UTF_8);
    if (!Arrays.equals(all, 0, end, now, 0, end)
        || !Arrays.equals(now, end, now.length, line, 0, line.length)) {
      throw new AssertionError(new String(now, UTF_8));
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void wholeLinesAreKept() {
    FUZZ.run();
  }
}
