package fornax.models.gpt;

import fornax.array.Shape;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/// The names that GPT-2's parameters have in Hugging Face's files; the shapes are the same, `[in,
/// out]` for weights.
final class HuggingFaceNames {
  private static final Map<String, String> OUTSIDE =
      Map.of(
          "tokens.weight", "wte.weight",
          "positions.weight", "wpe.weight",
          "norm.weight", "ln_f.weight",
          "norm.bias", "ln_f.bias");
  private static final Map<String, String> IN_BLOCK =
      Map.of(
          "attentionNorm", "ln_1",
          "attention.qkv", "attn.c_attn",
          "attention.projection", "attn.c_proj",
          "feedForwardNorm", "ln_2",
          "feedForward.expand", "mlp.c_fc",
          "feedForward.contract", "mlp.c_proj");
  private static final String BLOCKS = "blocks.";
  private static final String WEIGHT = ".weight";
  private static final String ADAPTER = ".lora.";

  private HuggingFaceNames() {}

  /// The name of the parameter at `path` of a [Gpt]: `blocks.0.attention.qkv.weight` is
  /// `h.0.attn.c_attn.weight`; its adapter's `blocks.0.attention.qkv.lora.a` is
  /// `h.0.attn.c_attn.lora_a`, a name of our own.
  static String of(String path) {
    int adapter = path.indexOf(ADAPTER);
    if (adapter >= 0) {
      return ofAdapter(
          of(path.substring(0, adapter) + WEIGHT), path.substring(adapter + ADAPTER.length()));
    }
    String name = path.startsWith(BLOCKS) ? inBlock(path) : OUTSIDE.get(path);
    if (name == null) {
      throw new IllegalArgumentException("gpt: no parameter at " + path);
    }
    return name;
  }

  /// The name of the part `a` or `b` of the adapter of `weight`.
  static String ofAdapter(String weight, String part) {
    String layer =
        weight.endsWith(WEIGHT) ? weight.substring(0, weight.length() - WEIGHT.length()) : weight;
    return layer + ".lora_" + part;
  }

  private static String inBlock(String path) {
    int number = path.indexOf('.', BLOCKS.length());
    int last = path.lastIndexOf('.'); // before weight or bias
    String layer = path.substring(number + 1, last);
    String block = path.substring(BLOCKS.length(), number);
    return "h." + block + "." + IN_BLOCK.get(layer) + path.substring(last);
  }

  /// All tensors of a model by their names, with their shapes.
  static SequencedMap<String, Shape> shapes(GptConfig config) {
    long c = config.width();
    SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
    shapes.put("wte.weight", Shape.of(config.vocabulary(), c));
    shapes.put("wpe.weight", Shape.of(config.context(), c));
    for (int i = 0; i < config.layers(); i++) {
      String block = "h." + i + ".";
      shapes.put(block + "ln_1.weight", Shape.of(c));
      shapes.put(block + "ln_1.bias", Shape.of(c));
      linear(shapes, block + "attn.c_attn", c, 3 * c);
      linear(shapes, block + "attn.c_proj", c, c);
      shapes.put(block + "ln_2.weight", Shape.of(c));
      shapes.put(block + "ln_2.bias", Shape.of(c));
      linear(shapes, block + "mlp.c_fc", c, 4 * c);
      linear(shapes, block + "mlp.c_proj", 4 * c, c);
    }
    shapes.put("ln_f.weight", Shape.of(c));
    shapes.put("ln_f.bias", Shape.of(c));
    return shapes;
  }

  private static void linear(Map<String, Shape> shapes, String name, long in, long out) {
    shapes.put(name + ".weight", Shape.of(in, out));
    shapes.put(name + ".bias", Shape.of(out));
  }
}
