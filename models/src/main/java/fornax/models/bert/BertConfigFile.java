package fornax.models.bert;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.backend.Unary;
import fornax.io.BoundedFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// The `config.json` of Hugging Face's BERT.
final class BertConfigFile {
  private static final long MAX_BYTES = 1 << 24; // far above any
  private static final int EXCERPT = 100; // characters of the file in a message

  private final Path file;
  private final JsonNode json;

  private BertConfigFile(Path file, JsonNode json) {
    this.file = file;
    this.json = json;
  }

  /// The sizes in `file`.
  ///
  /// @throws IOException if it is missing or corrupt, a size is missing or unusable, or the model
  ///   is of another kind
  static BertConfig read(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IOException(
          file.getParent()
              + ": no config.json; need a folder with config.json, model.safetensors"
              + " and tokenizer.json");
    }
    try {
      return new BertConfigFile(
              file, JsonMapper.builder().build().readTree(BoundedFile.read(file, MAX_BYTES)))
          .read();
    } catch (JacksonException e) {
      throw new IOException(
          file
              + ": not valid: "
              + excerpt(e.getOriginalMessage().lines().findFirst().orElse("no JSON"))
              + "; need a JSON object",
          e);
    }
  }

  private BertConfig read() throws IOException {
    if (!json.path("model_type").asText().equals("bert")) {
      throw wrong("model_type", "\"bert\"");
    }
    if (!json.path("position_embedding_type").asText("absolute").equals("absolute")) {
      throw wrong("position_embedding_type", "\"absolute\"");
    }
    if (json.path("is_decoder").asBoolean(false)) {
      throw wrong("is_decoder", "false");
    }
    Unary activation =
        switch (json.path("hidden_act").asText("gelu")) {
          case "gelu" -> Unary.GELU_ERF;
          case "gelu_new", "gelu_pytorch_tanh" -> Unary.GELU_TANH;
          case "relu" -> Unary.RELU;
          case "silu" -> Unary.SILU;
          default -> throw wrong("hidden_act", "gelu, gelu_new, relu or silu");
        };
    try {
      return new BertConfig(
          size("vocab_size"),
          size("max_position_embeddings"),
          size("type_vocab_size"),
          size("num_hidden_layers"),
          size("num_attention_heads"),
          size("hidden_size"),
          size("intermediate_size"),
          activation,
          json.path("layer_norm_eps").asDouble(1e-12));
    } catch (IllegalArgumentException e) {
      throw new IOException(file + ": " + e.getMessage(), e);
    }
  }

  private static String excerpt(String said) {
    return said.length() <= EXCERPT ? said : said.substring(0, EXCERPT) + "...";
  }

  private int size(String key) throws IOException {
    if (!json.path(key).isInt()) {
      throw wrong(key, "a whole number");
    }
    return json.path(key).intValue();
  }

  private IOException wrong(String key, String need) {
    JsonNode value = json.path(key);
    return new IOException(
        file
            + ": "
            + key
            + " not usable; got "
            + (value.isMissingNode() ? "nothing" : excerpt(value.toString()))
            + "; need "
            + need);
  }
}
