package fornax.models.gpt;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.DoubleStream;

/// The `config.json` of Hugging Face's GPT-2, of which [Gpt] computes the usual kind: tanh GELU,
/// feed-forward layers of four times the width, scaled attention, and the token table as head.
final class HuggingFaceConfig {
  private static final String TYPE = "gpt2";
  private static final double EPSILON = 1e-5;
  private static final double DROPOUT = 0.1; // where the file says nothing

  private final Path file;
  private final JsonNode json;

  private HuggingFaceConfig(Path file, JsonNode json) {
    this.file = file;
    this.json = json;
  }

  /// The sizes; the dropout is the largest of the three that the file has.
  ///
  /// @throws IOException if a size is missing or unusable, or the model is of another kind
  static GptConfig read(Path file, JsonNode json) throws IOException {
    var config = new HuggingFaceConfig(file, json);
    config.checkKind();
    double dropout =
        DoubleStream.of(
                config.number("attn_pdrop", DROPOUT),
                config.number("embd_pdrop", DROPOUT),
                config.number("resid_pdrop", DROPOUT))
            .max()
            .orElseThrow();
    try {
      var sizes =
          new GptConfig(
              config.size("vocab_size"),
              config.size(json.has("n_positions") ? "n_positions" : "n_ctx"),
              config.size("n_layer"),
              config.size("n_head"),
              config.size("n_embd"),
              dropout);
      JsonNode inner = json.path("n_inner");
      if (inner.isNumber() && inner.asLong() != 4L * sizes.width()) {
        throw config.wrong("n_inner", inner, "null or " + 4L * sizes.width());
      }
      return sizes;
    } catch (IllegalArgumentException e) {
      throw new IOException(file + ": " + e.getMessage(), e);
    }
  }

  private void checkKind() throws IOException {
    if (!json.path("model_type").asText().equals(TYPE)) {
      throw wrong("model_type", json.path("model_type"), "\"" + TYPE + "\"");
    }
    String activation = json.path("activation_function").asText("gelu_new");
    if (!activation.equals("gelu_new") && !activation.equals("gelu_pytorch_tanh")) {
      throw wrong("activation_function", json.path("activation_function"), "\"gelu_new\"");
    }
    if (number("layer_norm_epsilon", EPSILON) != EPSILON) {
      throw wrong("layer_norm_epsilon", json.path("layer_norm_epsilon"), "1e-5");
    }
    flag("tie_word_embeddings", true);
    flag("scale_attn_weights", true);
    flag("scale_attn_by_inverse_layer_idx", false);
    flag("add_cross_attention", false);
  }

  private void flag(String key, boolean needed) throws IOException {
    if (json.path(key).asBoolean(needed) != needed) {
      throw wrong(key, json.path(key), String.valueOf(needed));
    }
  }

  private double number(String key, double otherwise) throws IOException {
    JsonNode value = json.path(key);
    if (!value.isMissingNode() && !value.isNumber()) {
      throw wrong(key, value, "a number");
    }
    return value.asDouble(otherwise);
  }

  private int size(String key) throws IOException {
    JsonNode value = json.path(key);
    if (!value.isInt()) {
      throw wrong(key, value, "a whole number");
    }
    return value.intValue();
  }

  private IOException wrong(String key, JsonNode value, String need) {
    return new IOException(
        file
            + ": "
            + key
            + " not usable; got "
            + (value.isMissingNode() ? "nothing" : HuggingFaceFolder.excerpt(value))
            + "; need "
            + need);
  }

  /// @param endOfText the token that ends a text; negative: none
  static ObjectNode write(GptConfig config, int endOfText) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.putArray("architectures").add("GPT2LMHeadModel");
    json.put("model_type", TYPE)
        .put("activation_function", "gelu_new")
        .put("layer_norm_epsilon", EPSILON)
        .put("vocab_size", config.vocabulary())
        .put("n_positions", config.context())
        .put("n_ctx", config.context())
        .put("n_embd", config.width())
        .put("n_layer", config.layers())
        .put("n_head", config.heads())
        .putNull("n_inner")
        .put("attn_pdrop", config.dropout())
        .put("embd_pdrop", config.dropout())
        .put("resid_pdrop", config.dropout())
        .put("tie_word_embeddings", true)
        .put("torch_dtype", "float32");
    for (String key : new String[] {"bos_token_id", "eos_token_id"}) {
      if (endOfText >= 0) {
        json.put(key, endOfText);
      } else {
        json.putNull(key);
      }
    }
    return json;
  }
}
