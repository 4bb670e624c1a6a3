package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RowTest {
  private static final Row PRODUCT =
      new Row("matmul.forward", "384x384x384", 1e6, 2e6, Work.products(2e8, 1e6), 5e5);
  private static final Row TEXT =
      new Row("tokenize.encode", "char-100", 1234, 1300, Work.overhead(), 10);

  @Test
  void opOf_isSuiteAndMethod() {
    assertEquals("layerNorm.forward", Row.opOf("fornax.benchmarks.LayerNormBenchmark.forward"));
  }

  @Test
  void columns_areBelowTheirTitles() {
    String header = Row.header();
    String line = PRODUCT.toString();
    assertEquals(header.length(), line.length());
    for (String[] pair :
        new String[][] {{"BEST", "1.00 ms"}, {"MEDIAN", "2.00 ms"}, {"LIMIT", "50 %"}}) {
      int end = header.indexOf(pair[0]) + pair[0].length();
      assertTrue(line.substring(0, end).endsWith(pair[1]), line);
    }
    assertTrue(line.contains(" 200.0 GFLOP/s "), line);
  }

  @Test
  void bytesAloneAreGigabytes() {
    Row row = new Row("gelu.forward", "8", 1000, 1000, Work.bytes(5000), 100);
    assertTrue(row.toString().contains(" 5.0 GB/s "), row.toString());
    assertEquals(10, row.percentOfLimit());
  }

  @Test
  void whatHasNoLimit_showsNone() {
    assertTrue(TEXT.toString().matches(".* 1\\.23 µs +1\\.30 µs +- +-"), TEXT.toString());
    Row gpu = new Row("a.b", "1", 10, 10, Work.products(100, 0), Double.NaN);
    assertTrue(gpu.toString().matches(".* 10\\.0 GFLOP/s +-"), gpu.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "0.5, 0.50 ns",
    "9.996, 10.0 ns",
    "99.96, 100 ns",
    "999.4, 999 ns",
    "999.6, 1.00 µs",
    "1234567, 1.23 ms",
    "5e12, 5000 s",
  })
  void time_hasThreeDigits(double nanos, String want) {
    assertEquals(want, Row.time(nanos));
  }

  @Test
  void json_holdsTheNumbers(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("rows.json");
    Suites.write(List.of(PRODUCT, TEXT), file);
    JsonNode rows = JsonMapper.builder().build().readTree(file.toFile());
    assertEquals(200, rows.get(0).get("gigaflops").asDouble());
    assertEquals(1, rows.get(0).get("gigabytes").asDouble());
    assertEquals(50, rows.get(0).get("percentOfLimit").asDouble());
    assertEquals("char-100", rows.get(1).get("size").asText());
    assertEquals(1234, rows.get(1).get("nanos").asDouble());
    assertTrue(!rows.get(1).has("percentOfLimit"), rows.toString());
  }
}
