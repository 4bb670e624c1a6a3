package fornax.data;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;

/// A map between text and the numbers of a vocabulary, `0` to `vocabularySize() − 1`.
public sealed interface Tokenizer permits BpeTokenizer, CharTokenizer, Gpt2Tokenizer {
  /// The end of the message about a wrong type.
  String NEED_TYPE = "; need \"char\", \"gpt2\" or \"bpe\"";

  /// The name by which a command line asks for it.
  String name();

  /// The number of tokens there are.
  int vocabularySize();

  /// The tokens of `text`.
  ///
  /// @throws UnknownCharacterException if the vocabulary lacks a character of it
  int[] encode(String text);

  /// The token that ends a text.
  default OptionalInt endOfText() {
    return OptionalInt.empty();
  }

  /// The token that a text follows which has nothing before it: the end of another text, or of a
  /// line.
  default int beginning() {
    try {
      int[] line = encode("\n");
      return endOfText().orElse(line[0]);
    } catch (IllegalArgumentException _) {
      return endOfText().orElse(0); // texts without lines
    }
  }

  /// The text of `tokens`. Bytes that are no UTF-8 become U+FFFD.
  ///
  /// @throws IllegalArgumentException if a token is outside the vocabulary
  default String decode(int... tokens) {
    var decoder = streamingDecoder();
    var text = new StringBuilder();
    for (int token : tokens) {
      text.append(decoder.next(token));
    }
    return text.append(decoder.end()).toString();
  }

  /// A decoder for tokens that come one at a time.
  StreamingDecoder streamingDecoder();

  /// All that [#restore] needs to make an equal tokenizer: `type`, and what belongs to the type.
  SequencedMap<String, String> description();

  /// The tokenizer that gave `description`.
  ///
  /// @throws DataException if no tokenizer gives such a description
  static Tokenizer restore(Map<String, String> description) throws DataException {
    return switch (description.get("type")) {
      case CharTokenizer.NAME -> CharTokenizer.restore(description);
      case Gpt2Tokenizer.NAME -> new Gpt2Tokenizer();
      case BpeTokenizer.NAME -> HuggingFaceTokenizers.bpe(description.getOrDefault("json", "{}"));
      case null -> throw new DataException("tokenizer: no type" + NEED_TYPE);
      case String type ->
          throw new DataException(
              "tokenizer: unknown type \"" + Texts.excerpt(type) + "\"" + NEED_TYPE);
    };
  }

  /// Writes [#description] to `file` as JSON, replacing it as a whole.
  ///
  /// @throws IOException if it cannot be written
  default void save(Path file) throws IOException {
    String json =
        JsonMapper.builder()
            .build()
            .writerWithDefaultPrettyPrinter()
            .writeValueAsString(description());
    AtomicFile.replace(file, json + "\n");
  }

  /// Reads what [#save] wrote, or Hugging Face's `tokenizer.json`.
  ///
  /// @throws DataException if `file` is missing or does not describe a tokenizer
  /// @throws IOException if it cannot be read
  static Tokenizer load(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new DataException(
          "tokenizer: " + file + " is no file; need the tokenizer.json of a finished run");
    }
    JsonMapper json =
        JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
            .build();
    Map<String, String> description;
    try {
      byte[] bytes = BoundedFile.read(file, HuggingFaceTokenizers.MAX_BYTES);
      JsonNode tree = json.readTree(bytes);
      if (HuggingFaceTokenizers.isHuggingFace(tree)) {
        return HuggingFaceTokenizers.of(file, tree);
      }
      description = json.readValue(bytes, new TypeReference<Map<String, String>>() {});
    } catch (JacksonException e) {
      throw new DataException(
          "tokenizer: "
              + file
              + " is not valid: "
              + Texts.excerpt(e.getOriginalMessage())
              + "; need a JSON object of strings",
          e);
    }
    if (description == null) {
      throw new DataException(
          "tokenizer: " + file + " is not valid: null; need a JSON object of strings");
    }
    try {
      return restore(description);
    } catch (DataException e) {
      throw new DataException(file + ": " + e.getMessage(), e);
    }
  }
}
