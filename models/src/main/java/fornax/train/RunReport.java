package fornax.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What a run's folder tells, as a page for a browser that needs nothing else: curves of losses,
/// learning rate, throughput, gradient norm and memory, the samples, and how it was trained. The
/// curves are drawn by uPlot, which is in the page.
public final class RunReport {
  private static final String LIBRARY = "/META-INF/resources/webjars/uplot/1.6.30/dist/";
  private static final int MOST_POINTS = 4000; // of a curve

  private final RunFolder run;

  public RunReport(RunFolder run) {
    this.run = run;
  }

  /// Writes `report.html` into the run's folder, replacing it as a whole; returns where it is.
  ///
  /// @throws IOException if the folder cannot be read or written
  public Path write() throws IOException {
    Path file = run.path().resolve("report.html");
    AtomicFile.replace(file, page(false));
    return file;
  }

  /// The page.
  ///
  /// @param live whether it asks for [#data()] again, at `run.json` beside it
  /// @throws IOException if the folder cannot be read
  public String page(boolean live) throws IOException {
    String title = String.valueOf(run.path().toAbsolutePath().normalize().getFileName());
    return resource("/fornax/train/report.html")
        .replace("{{title}}", html(title))
        .replace("{{css}}", resource(LIBRARY + "uPlot.min.css"))
        .replace("{{library}}", resource(LIBRARY + "uPlot.iife.min.js"))
        .replace("{{live}}", String.valueOf(live))
        .replace("{{data}}", data().replace("<", "\\u003c"));
  }

  /// What the page shows, as JSON: `config`, `environment`, `steps` and `evaluations` (columns of
  /// numbers), `samples`, and `spikes`, how many steps were one.
  ///
  /// @throws IOException if the folder cannot be read
  public String data() throws IOException {
    ObjectNode all = RunFolder.JSON.createObjectNode();
    all.set("config", object(run.config()));
    all.set("environment", object(run.environment()));
    var steps = new Thinned();
    List<JsonNode> evaluations = new ArrayList<>();
    ArrayNode samples = all.putArray("samples");
    int spikes = 0;
    if (Files.isRegularFile(run.metrics())) {
      // Not what readAllLines does: half a character may stand at the end of what is being written.
      try (var in = Files.newInputStream(run.metrics());
          var lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          JsonNode entry = parsed(line);
          if (entry == null) {
            continue; // being written
          }
          if (entry.has("loss")) {
            steps.add(entry);
            spikes += entry.path("spike").asBoolean() ? 1 : 0;
          } else if (entry.has("validationLoss")) {
            evaluations.add(entry);
          } else if (entry.has("sample")) {
            var _ = samples.add(entry);
          }
        }
      }
    }
    all.set(
        "steps",
        columns(
            steps.entries(),
            "step",
            "loss",
            "gradientNorm",
            "lossScale",
            "learningRate",
            "tokensPerSecond",
            "modelFlopsUtilization",
            "liveBytes",
            "peakBytes"));
    all.set("evaluations", columns(evaluations, "step", "validationLoss"));
    all.put("spikes", spikes);
    return RunFolder.JSON.writeValueAsString(all);
  }

  private static @Nullable JsonNode parsed(String line) {
    try {
      return RunFolder.JSON.readTree(line);
    } catch (JsonProcessingException _) {
      return null;
    }
  }

  /// Of entries without end every one, every second, fourth, eighth, ..., so that they stay below
  /// twice [#MOST_POINTS], and the last.
  private static final class Thinned {
    private final List<JsonNode> kept = new ArrayList<>();
    private long stride = 1;
    private long seen;
    private @Nullable JsonNode last;

    void add(JsonNode entry) {
      boolean fits = seen++ % stride == 0;
      last = fits ? null : entry;
      if (fits) {
        kept.add(entry);
        if (kept.size() == 2 * MOST_POINTS) {
          for (int i = 0; i < MOST_POINTS; i++) {
            kept.set(i, kept.get(2 * i));
          }
          last = kept.getLast();
          kept.subList(MOST_POINTS, kept.size()).clear();
          stride *= 2;
        }
      }
    }

    List<JsonNode> entries() {
      List<JsonNode> all = new ArrayList<>(kept);
      if (last != null) {
        all.add(last);
      }
      return all;
    }
  }

  // What is not a number is null.
  private static ObjectNode columns(List<JsonNode> entries, String... names) {
    ObjectNode columns = RunFolder.JSON.createObjectNode();
    for (String name : names) {
      ArrayNode column = columns.putArray(name);
      for (JsonNode entry : entries) {
        JsonNode value = entry.path(name);
        var _ = value.isNumber() ? column.add(value) : column.addNull();
      }
    }
    return columns;
  }

  private static JsonNode object(Path file) throws IOException {
    try {
      return RunFolder.JSON.readTree(BoundedFile.read(file, RunFolder.MAX_CONFIG_BYTES));
    } catch (JsonProcessingException e) {
      throw new RunFolderException(
          "run: " + file + " is not valid: " + RunFolder.reason(e) + "; need one that a run wrote",
          e);
    } catch (NoSuchFileException _) {
      return RunFolder.JSON.createObjectNode();
    }
  }

  private static String html(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  private static String resource(String name) {
    try (InputStream in = RunReport.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("report: " + name + " is not on the class path");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
