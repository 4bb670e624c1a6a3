package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import fornax.backend.reference.ReferenceBackend;
import fornax.nn.Weights;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GptConfigTest {
  /// The first four are what Hugging Face's models have; the others follow from the table of GPT-3,
  /// whose own column is rounded (125M, 350M, 760M, 1.3B, 2.7B, 6.7B, 13.0B, 175.0B).
  @ParameterizedTest
  @CsvSource({
    "gpt2, 124439808",
    "gpt2-medium, 354823168",
    "gpt2-large, 774030080",
    "gpt2-xl, 1557611200",
    "gpt3-small, 125226240",
    "gpt3-medium, 355871744",
    "gpt3-large, 760300032",
    "gpt3-xl, 1315723264",
    "gpt3-2.7b, 2651553280",
    "gpt3-6.7b, 6658404352",
    "gpt3-13b, 12853386240",
    "gpt3-175b, 174604259328"
  })
  void parameterCount_isThePublishedOne(String preset, long parameters) {
    assertEquals(parameters, GptConfig.preset(preset).parameterCount());
  }

  @Test
  void parameterCount_ofTheSmallPresets() {
    GptConfig nano = GptConfig.preset("nano").withVocabulary(77);
    assertEquals(new GptConfig(77, 64, 4, 4, 128, 0), nano);
    assertEquals(811_392, nano.parameterCount());
    GptConfig baby = GptConfig.preset("baby").withVocabulary(65);
    assertEquals(new GptConfig(65, 256, 6, 6, 384, 0), baby);
    assertEquals(10_770_816, baby.parameterCount());
  }

  @Test
  void parameterCount_thatNoLongHolds_isAnError() {
    int most = Integer.MAX_VALUE;
    var config = new GptConfig(1, 1, 1, 1, most, 0);
    assertThrows(ArithmeticException.class, config::parameterCount);
    var layers = new GptConfig(1, 1, most, 1, 1 << 20, 0);
    assertThrows(ArithmeticException.class, layers::parameterCount);
  }

  @Test
  void parameterCount_isWhatAModelHas() {
    var config = new GptConfig(13, 7, 3, 2, 10, 0);
    try (var backend = new ReferenceBackend();
        var gpt = new Gpt(config, Weights.on(backend, 1))) {
      assertEquals(config.parameterCount(), gpt.parameterCount());
    }
  }

  @Test
  void presets_areFourteen() {
    assertEquals(
        List.of("nano", "baby", "gpt2", "gpt2-medium"), GptConfig.presetNames().subList(0, 4));
    assertEquals(14, GptConfig.presetNames().size());
    var e = assertThrows(IllegalArgumentException.class, () -> GptConfig.preset("nanoo"));
    assertEquals(
        "preset: unknown; got nanoo; need one of nano, baby, gpt2, gpt2-medium, gpt2-large,"
            + " gpt2-xl, gpt3-small, gpt3-medium, gpt3-large, gpt3-xl, gpt3-2.7b, gpt3-6.7b,"
            + " gpt3-13b, gpt3-175b",
        e.getMessage());
  }

  @Test
  void sizes_thatCannotBeAreErrors() {
    assertError(
        "gpt: width not divisible by heads; got width 100 and heads 3; need a multiple; e.g. 99 or"
            + " 102",
        () -> new GptConfig(10, 10, 1, 3, 100, 0));
    assertError(
        "gpt: width not divisible by heads; got width 2 and heads 3; need a multiple; e.g. 3",
        () -> new GptConfig(10, 10, 1, 3, 2, 0));
    assertError(
        "gpt: layers not positive; got 0; need at least 1",
        () -> new GptConfig(10, 10, 0, 1, 2, 0));
    assertError(
        "gpt: vocabulary not positive; got -1; need at least 1",
        () -> GptConfig.preset("nano").withVocabulary(-1));
    assertError(
        "gpt: context not positive; got 0; need at least 1",
        () -> GptConfig.preset("nano").withContext(0));
    assertError(
        "gpt: dropout not usable; got 1.0; need 0 <= dropout < 1",
        () -> GptConfig.preset("nano").withDropout(1));
    assertError(
        "gpt: dropout not usable; got NaN; need 0 <= dropout < 1",
        () -> GptConfig.preset("nano").withDropout(Double.NaN));
  }

  private static void assertError(String message, Executable made) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, made).getMessage());
  }
}
