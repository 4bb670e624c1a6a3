package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.cli.UserException;
import fornax.models.gpt.GptConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TrainingShapeTest {
  @ParameterizedTest
  @CsvSource({
    "nano, 4x4x128x64x12x65",
    "baby, 6x6x384x256x16x65",
    "gpt2, 12x12x768x64x4x50257",
  })
  void parse_knowsTheNames(String name, String sizes) {
    assertEquals(TrainingShape.parse(sizes), TrainingShape.parse(name));
  }

  @Test
  void parse_readsTheSizesInOrder() {
    TrainingShape shape = TrainingShape.parse("2x3x48x5x7x11");
    assertEquals(new TrainingShape(new GptConfig(11, 5, 2, 3, 48, 0), 7), shape);
    assertEquals(35, shape.tokens());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "Nano",
        "4x4x128x64x12",
        "4x4x128x64x12x65x1",
        "4X4x128x64x12x65",
        "-4x4x128x64x12x65",
        "4x4x128x64x0x65",
        "0x4x128x64x12x65",
        "4x3x128x64x12x65",
        "9999999999x1x1x1x1x1"
      })
  void parse_refuses(String text) {
    var error = assertThrows(UserException.class, () -> TrainingShape.parse(text));
    assertTrue(String.valueOf(error.getMessage()).startsWith("bench: "), error.getMessage());
  }

  /// 6·256·(12·(12·768² + 768·64) + 50257·768), by hand.
  @Test
  void flops_countsTheProducts() {
    assertEquals(190_651_170_816.0, TrainingShape.parse("gpt2").flops());
  }
}
