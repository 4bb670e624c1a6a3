package fornax.models.gpt;

import java.util.Map;

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

  private HuggingFaceNames() {}

  /// The name of the parameter at `path` of a [Gpt]: `blocks.0.attention.qkv.weight` is
  /// `h.0.attn.c_attn.weight`.
  static String of(String path) {
    String name = path.startsWith(BLOCKS) ? inBlock(path) : OUTSIDE.get(path);
    if (name == null) {
      throw new IllegalArgumentException("gpt: no parameter at " + path);
    }
    return name;
  }

  private static String inBlock(String path) {
    int number = path.indexOf('.', BLOCKS.length());
    int last = path.lastIndexOf('.'); // before weight or bias
    String layer = path.substring(number + 1, last);
    String block = path.substring(BLOCKS.length(), number);
    return "h." + block + "." + IN_BLOCK.get(layer) + path.substring(last);
  }
}
