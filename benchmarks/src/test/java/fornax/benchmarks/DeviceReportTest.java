package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import fornax.backend.DeviceInfo;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeviceReportTest {
  /// In the sizes of a device for tests; TF32 is left out where there is none.
  @Test
  void report_hasAllThatIsMeasured(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("report.json");
    DeviceInfo device = DeviceInfo.available("cpu", "cpu", "this machine's (test only)");
    var said = new ByteArrayOutputStream();
    try (var err = new PrintStream(said, true, StandardCharsets.UTF_8)) {
      DeviceReport.write(device, file, err);
    }
    assertTrue(said.toString(StandardCharsets.UTF_8).contains("own bf16 32x64x65 tn"));
    JsonNode report = new ObjectMapper().readTree(file.toFile());
    assertTrue(report.get("device").get("testOnly").asBoolean());
    assertEquals("cpu", report.get("device").get("id").asText());
    assertEquals(3 * 3, report.get("matmul").size()); // precisions, forms
    for (JsonNode product : report.get("matmul")) {
      double wanted = 2.0 * 32 * 64 * 65 / product.get("bestMicros").asDouble() / 1e6;
      assertEquals(wanted, product.get("teraflops").asDouble(), 1e-6 * wanted);
      assertTrue(wanted > 0);
    }
    assertEquals(3 * 2, report.get("attention").size()); // types, passes
    assertEquals(3, report.get("step").size());
    for (JsonNode step : report.get("step")) {
      assertEquals(32, step.get("tokens").asInt());
      for (String way : new String[] {"withGraph", "withoutGraph"}) {
        assertTrue(step.get(way).get("tokensPerSecond").asDouble() > 0);
        assertTrue(step.get(way).get("peakBytes").asLong() > 0);
      }
      long launches = 0;
      double micros = 0;
      for (JsonNode kernel : step.get("kernels")) {
        launches += kernel.get("launches").asLong();
        micros += kernel.get("micros").asDouble();
      }
      assertTrue(launches > 10, step::toString);
      assertEquals(launches, step.get("launches").asLong());
      assertEquals(micros, step.get("kernelMicros").asDouble(), 0.01);
    }
    assertEquals(null, System.getProperty("fornax.profile"));
  }
}
