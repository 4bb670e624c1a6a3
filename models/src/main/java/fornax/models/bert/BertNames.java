package fornax.models.bert;

import fornax.array.Shape;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/// The names that BERT's parameters have in Hugging Face's files, and the shapes that they have
/// here; there the matrices of layers are transposed.
final class BertNames {
  private static final Map<String, String> OUTSIDE =
      Map.of(
          "tokens.weight", "embeddings.word_embeddings.weight",
          "positions.weight", "embeddings.position_embeddings.weight",
          "types.weight", "embeddings.token_type_embeddings.weight",
          "norm.weight", "embeddings.LayerNorm.weight",
          "norm.bias", "embeddings.LayerNorm.bias");
  private static final Map<String, String> IN_BLOCK =
      Map.of(
          "attention.query", "attention.self.query",
          "attention.key", "attention.self.key",
          "attention.value", "attention.self.value",
          "attention.projection", "attention.output.dense",
          "attentionNorm", "attention.output.LayerNorm",
          "feedForward.expand", "intermediate.dense",
          "feedForward.contract", "output.dense",
          "feedForwardNorm", "output.LayerNorm");
  private static final String BLOCKS = "blocks.";

  private BertNames() {}

  /// The name of the parameter at `path` of a [Bert]: `blocks.0.attention.query.weight` is
  /// `encoder.layer.0.attention.self.query.weight`.
  static String of(String path) {
    String name = path.startsWith(BLOCKS) ? inBlock(path) : OUTSIDE.get(path);
    if (name == null) {
      throw new IllegalArgumentException("bert: no parameter at " + path);
    }
    return name;
  }

  private static String inBlock(String path) {
    int number = path.indexOf('.', BLOCKS.length());
    int last = path.lastIndexOf('.'); // before weight or bias
    String layer = path.substring(number + 1, last);
    String block = path.substring(BLOCKS.length(), number);
    return "encoder.layer." + block + "." + IN_BLOCK.get(layer) + path.substring(last);
  }

  /// Whether the tensor `name` is the matrix of a layer, which files hold transposed.
  static boolean isMatrix(String name) {
    return name.startsWith("encoder.layer.")
        && name.endsWith(".weight")
        && !name.endsWith(".LayerNorm.weight");
  }

  /// All tensors of a model by their names, with the shapes that they have here.
  static SequencedMap<String, Shape> shapes(BertConfig config) {
    long c = config.width();
    SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
    shapes.put("embeddings.word_embeddings.weight", Shape.of(config.vocabulary(), c));
    shapes.put("embeddings.position_embeddings.weight", Shape.of(config.positions(), c));
    shapes.put("embeddings.token_type_embeddings.weight", Shape.of(config.types(), c));
    layer(shapes, "embeddings.LayerNorm", Shape.of(c), c);
    for (int i = 0; i < config.layers(); i++) {
      String block = "encoder.layer." + i + ".";
      layer(shapes, block + "attention.self.query", Shape.of(c, c), c);
      layer(shapes, block + "attention.self.key", Shape.of(c, c), c);
      layer(shapes, block + "attention.self.value", Shape.of(c, c), c);
      layer(shapes, block + "attention.output.dense", Shape.of(c, c), c);
      layer(shapes, block + "attention.output.LayerNorm", Shape.of(c), c);
      layer(shapes, block + "intermediate.dense", Shape.of(c, config.inner()), config.inner());
      layer(shapes, block + "output.dense", Shape.of(config.inner(), c), c);
      layer(shapes, block + "output.LayerNorm", Shape.of(c), c);
    }
    return shapes;
  }

  private static void layer(Map<String, Shape> shapes, String name, Shape weight, long bias) {
    shapes.put(name + ".weight", weight);
    shapes.put(name + ".bias", Shape.of(bias));
  }
}
