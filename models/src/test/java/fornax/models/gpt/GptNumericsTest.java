package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.nn.Precision;
import fornax.nn.Weights;
import fornax.tensor.GradMode;
import fornax.tensor.NonFiniteException;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import org.junit.jupiter.api.Test;

/// What is wrong with the numbers of a model is found at its source and named.
class GptNumericsTest {
  private static final GptConfig CONFIG = new GptConfig(11, 8, 3, 2, 12, 0);

  private interface Fault {
    void in(Gpt model);
  }

  private static NonFiniteException find(Precision precision, Fault fault) {
    try (Backend backend = Devices.open("cpu");
        var model = new Gpt(CONFIG, Weights.on(backend, 7));
        var _ = Scope.open();
        var _ = model.checkNumerics()) {
      model.computeIn(precision);
      Tensor tokens = Tensors.on(backend).of(new int[] {1, 2, 3, 4, 5, 6, 7, 8}, Shape.of(1, 8));
      model.loss(tokens, tokens).backward(); // nothing is wrong yet
      model.zeroGrad();
      fault.in(model);
      return assertThrows(NonFiniteException.class, () -> model.loss(tokens, tokens).backward());
    }
  }

  private static Tensor parameter(Gpt model, String path) {
    Tensor parameter = model.parameters().get(path);
    assertNotNull(parameter, path);
    return parameter;
  }

  private static void set(Gpt model, String path, int index, float value) {
    Tensor parameter = parameter(model, path);
    float[] values = parameter.toFloatArray();
    values[index] = value;
    put(parameter, values);
  }

  private static void put(Tensor parameter, float[] values) {
    try (var _ = GradMode.noGrad()) {
      Tensor _ =
          parameter.copyInPlace(Tensors.on(parameter.backend()).of(values, parameter.shape()));
    }
  }

  private static void assertSays(String part, NonFiniteException e) {
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains(part), message);
  }

  @Test
  void aFlippedBit_isNamedByItsParameter() {
    NonFiniteException e =
        find(
            Precision.F32,
            model -> {
              String path = "blocks.1.feedForward.expand.weight";
              float before = parameter(model, path).toFloatArray()[5];
              int flipped = Float.floatToRawIntBits(before) ^ 1 << 30;
              set(model, path, 5, Float.intBitsToFloat(flipped));
            });
    assertEquals("linear", e.op());
    assertEquals("blocks.1.feedForward.expand", e.layer());
    assertEquals(Shape.of(12, 48), e.shape());
    assertSays("in the parameter blocks.1.feedForward.expand.weight", e);
    assertEquals("Linear.java", String.valueOf(e.recordedAt()).replaceAll(".*\\((.*):.*", "$1"));
  }

  @Test
  void attentionWithoutParameters_isNamedByItsLayer() {
    NonFiniteException e =
        find(
            Precision.F32,
            model -> {
              float[] bias = new float[36]; // so large that their products overflow
              for (int i = 0; i < bias.length; i++) {
                bias[i] = 1e19f * (i % 2 == 0 ? 1 : -1) * (i < 12 ? 1 : 1.7f);
              }
              put(parameter(model, "blocks.2.attention.qkv.bias"), bias);
            });
    assertEquals("selfAttention", e.op());
    assertEquals("blocks.2.attention", e.layer());
  }

  private static float[] filled(int count, float value) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = value * (i % 2 == 0 ? 1 : -1) * (1 + i % 7);
    }
    return values;
  }

  @Test
  void aValueBeyondBFloat16_isNamedByItsLayer() {
    NonFiniteException e =
        find(
            Precision.BF16,
            model -> {
              put(parameter(model, "blocks.0.attentionNorm.weight"), filled(12, 0x1p60f));
              put(parameter(model, "blocks.0.attention.qkv.weight"), filled(12 * 36, 0x1p61f));
              put(parameter(model, "blocks.0.attention.qkv.bias"), filled(36, 0x1p60f));
            });
    assertEquals("linear", e.op());
    assertEquals("blocks.0.attention.qkv", e.layer());
    assertSays(
        "infinity in the result; got 0 NaN and 10 infinities among the 288 values of BF16", e);
  }
}
