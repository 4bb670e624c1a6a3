package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.models.gpt.GptConfig;
import fornax.nn.Precision;
import fornax.train.Flops;
import fornax.train.RunFolder;
import fornax.train.RunReport;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir static Path shared;
  private static Path run;
  private static String said;

  @BeforeAll
  static void train() throws IOException {
    Path text = shared.resolve("text.txt");
    Path _ = Files.writeString(text, "<script> to be or not to be &amp;\n".repeat(80));
    run = shared.resolve("run<b>");
    Cli.Result result =
        Cli.run(
            ("train --device cpu --layers 1 --width 16 --heads 2 --context 8 --batch 2 --steps 30"
                    + " --eval-every 10 --eval-batches 2 --sample-every 15 --tensorboard --dashboard"
                    + " --data "
                    + text
                    + " --out "
                    + run)
                .split(" "));
    assertEquals(ExitCode.OK, result.code(), result.err());
    said = result.err();
  }

  private static JsonNode data(String page) throws IOException {
    String begin = "<script type=\"application/json\" id=\"data\">";
    int from = page.indexOf(begin) + begin.length();
    return JSON.readTree(page.substring(from, page.indexOf("</script>", from)));
  }

  @Test
  void page_holdsAllThatItShows() throws IOException {
    String page = Files.readString(run.resolve("report.html"));
    JsonNode data = data(page);
    assertEquals(30, data.at("/steps/loss").size());
    assertEquals(30, data.at("/steps/step/29").asInt());
    for (String column :
        "gradientNorm learningRate tokensPerSecond liveBytes peakBytes".split(" ")) {
      assertTrue(data.at("/steps/" + column + "/29").asDouble() > 0, column);
    }
    assertEquals(0, data.at("/steps/modelFlopsUtilization/29").asDouble());
    assertEquals(4, data.at("/evaluations/validationLoss").size());
    assertEquals(3, data.at("/samples").size()); // before training, after step 15, and at the end
    assertEquals(30, data.at("/samples/2/step").asInt());
    assertEquals(0, data.get("spikes").asInt());
    assertEquals(16, data.at("/config/model/width").asInt());
    assertEquals("6N + 12·layers·width·context", data.at("/environment/flopsFormula").asText());
    assertTrue(page.contains("<title>run&lt;b&gt;</title>"));
    assertFalse(
        page.contains("src=\"") || page.contains("href=\""), "something is not in the page");
  }

  @Test
  void report_makesTheSamePageAgain() throws IOException {
    Path file = run.resolve("report.html");
    String before = Files.readString(file);
    Files.delete(file);
    Cli.Result result = Cli.run("report", run.toString());
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertEquals(before, Files.readString(file));
  }

  @Test
  void report_isMadeOfWhatCanBeRead() throws IOException {
    Path copy = Files.createDirectory(shared.resolve("spoilt"));
    Path config = Files.copy(run.resolve("config.json"), copy.resolve("config.json"));
    byte[] spoilt = {'{', '"', (byte) 0xc3, '\n', (byte) 0xff, '[', '\n', 'n', 'u', 'l', 'l', '\n'};
    Path _ = Files.write(copy.resolve("metrics.jsonl"), spoilt);
    assertEquals(ExitCode.OK, Cli.run("report", copy.toString()).code());
    Path environment = Files.write(copy.resolve("environment.json"), spoilt);
    for (Path file : new Path[] {environment, config}) {
      Path _ = Files.write(file, spoilt);
      Cli.Result refused = Cli.run("report", copy.toString());
      assertEquals(ExitCode.BAD_INPUT, refused.code(), refused.err());
      assertTrue(refused.err().contains(file + " is not valid"), refused.err());
    }
  }

  @Test
  void curvesOfLongRuns_areThinnedOut() throws IOException {
    RunFolder folder = RunFolder.at(shared.resolve("long"));
    folder.writeConfig(java.util.Map.of());
    var lines = new StringBuilder();
    for (int step = 1; step <= 9001; step++) {
      lines.append("{\"step\":").append(step).append(",\"loss\":\"NaN\"}\n");
    }
    Path _ = Files.writeString(folder.metrics(), lines + "{\"step\":");
    JsonNode steps = JSON.readTree(new RunReport(folder).data()).get("steps");
    assertEquals(4501, steps.get("step").size()); // every second
    assertEquals(9001, steps.get("step").get(4500).asInt());
    assertTrue(steps.get("loss").get(0).isNull());
  }

  @Test
  void dashboard_servesThePageToThisMachineAlone() throws IOException, InterruptedException {
    assertTrue(said.matches("(?s).*dashboard: http://127\\.0\\.0\\.1:[0-9]+/.*"), said);
    try (var dashboard = Dashboard.open(RunFolder.open(run), 0);
        HttpClient client = HttpClient.newHttpClient()) {
      assertEquals(200, get(client, dashboard.url()).statusCode());
      assertTrue(get(client, dashboard.url()).body().contains("const live = true;"));
      JsonNode data = JSON.readTree(get(client, dashboard.url() + "run.json").body());
      assertEquals(30, data.at("/steps/loss").size());
      assertEquals(404, get(client, dashboard.url() + "../config.json").statusCode());
      String named = dashboard.url().replace("127.0.0.1", "[::ffff:127.0.0.1]");
      assertEquals(403, get(client, named).statusCode());
      Cli.Result taken =
          Cli.run(
              ("train --steps 1 --layers 1 --width 16 --heads 1 --out "
                      + shared.resolve("taken")
                      + " --dashboard "
                      + URI.create(dashboard.url()).getPort())
                  .split(" "));
      assertEquals(ExitCode.BAD_INPUT, taken.code(), taken.err());
      assertTrue(taken.err().contains("--dashboard: port not usable"), taken.err());
    }
  }

  private static HttpResponse<String> get(HttpClient client, String url)
      throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
  }

  @Test
  void tensorboard_getsEveryNumber() throws IOException {
    try (Stream<Path> files = Files.list(run.resolve("tensorboard"))) {
      String events =
          new String(Files.readAllBytes(files.toList().getFirst()), StandardCharsets.ISO_8859_1);
      for (String tag : "loss gradientNorm validationLoss peakBytes tokensPerSecond".split(" ")) {
        assertTrue(events.contains(tag), tag);
      }
    }
  }

  @Test
  void utilization_isOfTheKnownDevicesAlone() {
    GptConfig gpt2 = GptConfig.preset("gpt2");
    double flops = 6 * (124_439_808 - 1024 * 768.0) + 12.0 * 12 * 768 * 1024;
    assertEquals(flops, Flops.perToken(gpt2));
    assertEquals(
        100_000 * flops / 312e12,
        Flops.utilization(gpt2, Precision.BF16, "NVIDIA A100-SXM4-80GB", 100_000),
        1e-12);
    assertEquals(
        100_000 * flops / 67e12,
        Flops.utilization(gpt2, Precision.F32, "NVIDIA H100 80GB HBM3", 100_000),
        1e-12);
    assertEquals(0, Flops.utilization(gpt2, Precision.BF16, "AMD EPYC, 2 threads", 100_000));
    assertEquals(0, Flops.utilization(gpt2, Precision.BF16, "Tesla T4", 100_000));
  }

  @Test
  void browser_drawsEveryCurve() throws IOException, InterruptedException {
    Path chromium = Path.of("/usr/bin/chromium");
    assumeTrue(Files.isExecutable(chromium), "no " + chromium);
    Process browser =
        new ProcessBuilder(
                chromium.toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=3000",
                "--dump-dom",
                run.resolve("report.html").toUri().toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String page = new String(browser.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, browser.waitFor());
    assertEquals(6, page.split("<canvas", -1).length, "curves drawn: five");
    assertTrue(page.contains("<td>model.width</td><td>16</td>"), "the config");
    assertTrue(page.contains("before training"), "the samples");
  }
}
