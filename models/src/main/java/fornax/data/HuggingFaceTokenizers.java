package fornax.data;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Tokenizers in Hugging Face's files: `tokenizer.json`, or GPT-2's `vocab.json` and `merges.txt`.
///
/// Byte-level BPE with GPT-2's words is read and written as such; one token for each character is a
/// `WordLevel` model there.
public final class HuggingFaceTokenizers {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .build();
  static final long MAX_BYTES = 1 << 28; // of a file; the largest vocabularies take a tenth

  private static final String BYTE_LEVEL = "ByteLevel";
  private static final String VERSION = "#version"; // the comment that begins merges.txt
  private static final Set<String> SPECIAL = Set.of("<|endoftext|>"); // what vocab.json can hold

  // Oniguruma reads it, which Hugging Face's libraries take for expressions; it knows no `(?s:.)`.
  private static final String ANY_CHARACTER = "[\\s\\S]";

  private HuggingFaceTokenizers() {}

  /// The tokenizer of a model's folder: its `tokenizer.json`, or else `vocab.json` with
  /// `merges.txt`; null where there is neither.
  ///
  /// @throws DataException if a file is corrupt, or of a kind of tokenizer that there is none of
  ///   here
  /// @throws IOException if a file cannot be read
  public static @Nullable Tokenizer read(Path folder) throws IOException {
    Path whole = folder.resolve("tokenizer.json");
    Path vocabulary = folder.resolve("vocab.json");
    Path merges = folder.resolve("merges.txt");
    if (Files.isRegularFile(whole)) {
      return of(whole, parse(whole));
    }
    boolean first = Files.isRegularFile(vocabulary);
    if (first != Files.isRegularFile(merges)) {
      throw new DataException(
          "tokenizer: "
              + folder
              + " has "
              + (first ? "vocab.json" : "merges.txt")
              + " alone; need vocab.json and merges.txt, or tokenizer.json");
    }
    return first ? ofVocabulary(vocabulary, merges) : null;
  }

  /// Writes `tokenizer.json` and `tokenizer_config.json` to `folder`, and for byte-level BPE
  /// `vocab.json` and `merges.txt`.
  ///
  /// @throws IOException if a file cannot be written
  public static void write(Tokenizer tokenizer, int context, Path folder) throws IOException {
    write(tokenizer, JSON.createObjectNode().put("model_max_length", context), folder);
  }

  /// The same for a tokenizer that is no model's yet.
  ///
  /// @throws IOException if a file cannot be written
  public static void write(Tokenizer tokenizer, Path folder) throws IOException {
    write(tokenizer, JSON.createObjectNode(), folder);
  }

  private static void write(Tokenizer tokenizer, ObjectNode config, Path folder)
      throws IOException {
    switch (tokenizer) {
      case BpeTokenizer bpe -> writeBpe(bpe, config, folder);
      case Gpt2Tokenizer gpt2 -> writeBpe(gpt2.explicit(), config, folder);
      case CharTokenizer chars -> {
        AtomicFile.replace(folder.resolve("tokenizer.json"), json(chars));
        config.put("tokenizer_class", "PreTrainedTokenizerFast");
      }
    }
    AtomicFile.replace(folder.resolve("tokenizer_config.json"), pretty(config));
  }

  private static void writeBpe(BpeTokenizer bpe, ObjectNode config, Path folder)
      throws IOException {
    AtomicFile.replace(folder.resolve("tokenizer.json"), json(bpe));
    AtomicFile.replace(folder.resolve("vocab.json"), JSON.writeValueAsString(vocabulary(bpe)));
    var merges = new StringBuilder(VERSION + ": 0.2\n");
    for (BpeTokenizer.Merge merge : bpe.merges()) {
      merges.append(merge.left()).append(' ').append(merge.right()).append('\n');
    }
    AtomicFile.replace(folder.resolve("merges.txt"), merges.toString());
    config.put("tokenizer_class", "GPT2Tokenizer").put("add_prefix_space", false);
    for (String token : bpe.special().keySet()) {
      config.put("bos_token", token).put("eos_token", token).put("unk_token", token);
    }
  }

  // ---- reading

  static JsonNode parse(Path file) throws IOException {
    try {
      return JSON.readTree(BoundedFile.read(file, MAX_BYTES));
    } catch (JacksonException e) {
      throw new DataException(
          "tokenizer: "
              + file
              + " is not valid: "
              + Texts.excerpt(e.getOriginalMessage())
              + "; need a JSON object",
          e);
    }
  }

  /// Whether `json` is Hugging Face's rather than what [Tokenizer#save] writes.
  static boolean isHuggingFace(JsonNode json) {
    return json.path("model").isObject();
  }

  /// The tokenizer of a `tokenizer.json`, of which `file` is the name.
  static Tokenizer of(Path file, JsonNode json) throws DataException {
    JsonNode model = json.path("model");
    String type = model.path("type").asText(model.has("merges") ? "BPE" : "");
    try {
      return switch (type) {
        case "BPE" -> bpe(json, model);
        case "WordLevel" -> characters(json, model);
        default ->
            throw new DataException(
                "model: got type \"" + Texts.excerpt(type) + "\"; need BPE or WordLevel");
      };
    } catch (DataException e) {
      throw new DataException(file + ": " + e.getMessage(), e);
    }
  }

  static BpeTokenizer bpe(String json) throws DataException {
    try {
      JsonNode whole = JSON.readTree(json);
      return bpe(whole, whole.path("model"));
    } catch (JacksonException e) {
      throw new DataException("tokenizer: no JSON: " + Texts.excerpt(e.getOriginalMessage()), e);
    }
  }

  private static BpeTokenizer bpe(JsonNode json, JsonNode model) throws DataException {
    JsonNode words = json.path("pre_tokenizer");
    String need = "; need GPT-2's: ByteLevel without a prefix space, and no normalizer";
    if (!words.path("type").asText().equals(BYTE_LEVEL)
        || words.path("add_prefix_space").asBoolean(false)
        || !words.path("use_regex").asBoolean(true)) {
      throw new DataException("pre_tokenizer: got " + Texts.excerpt(words.toString()) + need);
    }
    if (json.path("normalizer").isObject()) {
      throw new DataException(
          "normalizer: got " + Texts.excerpt(json.path("normalizer").toString()) + need);
    }
    List<BpeTokenizer.Merge> merges = new ArrayList<>();
    for (JsonNode merge : model.path("merges")) {
      merges.add(
          merge.isArray() && merge.size() == 2
              ? new BpeTokenizer.Merge(merge.get(0).asText(), merge.get(1).asText())
              : merge(merge.asText()));
    }
    JsonNode vocabulary = model.path("vocab");
    JsonNode added = json.path("added_tokens");
    @Nullable String[] spellings = number(vocabulary, added.size());
    List<String> special = new ArrayList<>();
    for (JsonNode one : added) {
      String token = one.path("content").asText();
      special.add(token);
      place(spellings, token, one.path("id"));
    }
    return BpeTokenizer.of(whole(spellings), merges, special);
  }

  private static Tokenizer ofVocabulary(Path vocabulary, Path merges) throws IOException {
    try {
      @Nullable String[] spellings = number(parse(vocabulary), 0);
      List<BpeTokenizer.Merge> list = new ArrayList<>();
      String text = Texts.decode(merges.toString(), BoundedFile.read(merges, MAX_BYTES));
      for (String line : text.lines().toList()) {
        if (!line.isBlank() && !line.startsWith(VERSION)) {
          list.add(merge(line));
        }
      }
      List<String> whole = whole(spellings);
      return BpeTokenizer.of(whole, list, whole.stream().filter(SPECIAL::contains).toList());
    } catch (DataException e) {
      throw new DataException(vocabulary.getParent() + ": " + e.getMessage(), e);
    }
  }

  private static BpeTokenizer.Merge merge(String line) throws DataException {
    int space = line.indexOf(' ');
    if (space < 1 || space == line.length() - 1) {
      throw new DataException(
          "merges: got \"" + Texts.excerpt(line) + "\"; need two tokens and a space between them");
    }
    return new BpeTokenizer.Merge(line.substring(0, space), line.substring(space + 1));
  }

  // The tokens of an object such as {"a": 0, "b": 1}, each at its number, with room for `more`.
  private static @Nullable String[] number(JsonNode vocabulary, int more) throws DataException {
    if (!vocabulary.isObject() || vocabulary.isEmpty()) {
      throw new DataException("vocabulary: got no tokens; need an object of tokens and numbers");
    }
    @Nullable String[] spellings = new String[vocabulary.size() + more];
    for (Map.Entry<String, JsonNode> token : vocabulary.properties()) {
      place(spellings, token.getKey(), token.getValue());
    }
    return spellings;
  }

  // No number can be as large as there are tokens, so none can make us reserve more.
  private static void place(@Nullable String[] spellings, String token, JsonNode number)
      throws DataException {
    if (!number.isInt() || number.intValue() < 0 || number.intValue() >= spellings.length) {
      throw new DataException(
          "vocabulary: got "
              + Texts.excerpt(number.toString())
              + " for \""
              + Texts.excerpt(token)
              + "\"; need a number of 0 to "
              + (spellings.length - 1));
    }
    int at = number.intValue();
    String there = spellings[at];
    if (there != null && !there.equals(token)) {
      throw new DataException(
          "vocabulary: number "
              + at
              + " is of \""
              + Texts.excerpt(there)
              + "\" and of \""
              + Texts.excerpt(token)
              + "\"; need one token for each");
    }
    spellings[at] = token;
  }

  // Added tokens may be ones of the vocabulary: then the last places stay empty.
  private static List<String> whole(@Nullable String[] spellings) throws DataException {
    int size = spellings.length;
    while (size > 0 && spellings[size - 1] == null) {
      size--;
    }
    List<String> whole = new ArrayList<>(size);
    for (int i = 0; i < size; i++) {
      String token = spellings[i];
      if (token == null) {
        throw new DataException(
            "vocabulary: no token has the number " + i + "; need all from 0 to " + (size - 1));
      }
      whole.add(token);
    }
    return whole;
  }

  private static CharTokenizer characters(JsonNode json, JsonNode model) throws DataException {
    List<String> spellings = whole(number(model.path("vocab"), 0));
    String characters = String.join("", spellings);
    if (characters.codePointCount(0, characters.length()) != spellings.size()
        || !json.path("pre_tokenizer").path("type").asText().equals("Split")) {
      throw new DataException("model: got words; need a WordLevel model of single characters");
    }
    return CharTokenizer.restore(Map.of("characters", characters));
  }

  // ---- writing

  private static String pretty(JsonNode json) throws IOException {
    return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n";
  }

  private static String compact(JsonNode json) {
    return json + "\n";
  }

  /// The `tokenizer.json` of `bpe`.
  static String json(BpeTokenizer bpe) {
    ObjectNode json = start();
    bpe.special()
        .forEach(
            (token, number) ->
                json.withArray("added_tokens")
                    .addObject()
                    .put("id", number)
                    .put("content", token)
                    .put("single_word", false)
                    .put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false)
                    .put("special", true));
    json.putNull("normalizer");
    byteLevel(json.putObject("pre_tokenizer"));
    byteLevel(json.putObject("post_processor"));
    byteLevel(json.putObject("decoder"));
    ObjectNode model = json.putObject("model").put("type", "BPE");
    for (String absent :
        List.of("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")) {
      model.putNull(absent);
    }
    model.put("fuse_unk", false).put("byte_fallback", false);
    model.set("vocab", vocabulary(bpe));
    ArrayNode merges = model.putArray("merges");
    bpe.merges().forEach(merge -> merges.add(merge.left() + " " + merge.right()));
    return compact(json);
  }

  private static ObjectNode start() {
    ObjectNode json = JSON.createObjectNode().put("version", "1.0");
    json.putNull("truncation").putNull("padding").putArray("added_tokens");
    return json;
  }

  private static void byteLevel(ObjectNode part) {
    part.put("type", BYTE_LEVEL)
        .put("add_prefix_space", false)
        .put("trim_offsets", false)
        .put("use_regex", true);
  }

  private static ObjectNode vocabulary(BpeTokenizer bpe) {
    ObjectNode vocabulary = JSON.createObjectNode();
    List<String> spellings = bpe.spellings();
    for (int i = 0; i < spellings.size(); i++) {
      vocabulary.put(spellings.get(i), i);
    }
    return vocabulary;
  }

  private static String json(CharTokenizer chars) {
    ObjectNode json = start();
    json.putNull("normalizer");
    ObjectNode split = json.putObject("pre_tokenizer").put("type", "Split");
    split.putObject("pattern").put("Regex", ANY_CHARACTER);
    split.put("behavior", "Isolated").put("invert", false);
    json.putNull("post_processor").putObject("decoder").put("type", "Fuse");
    ObjectNode model = json.putObject("model").put("type", "WordLevel");
    ObjectNode vocabulary = model.putObject("vocab");
    int[] points = chars.characters().codePoints().toArray();
    for (int i = 0; i < points.length; i++) {
      vocabulary.put(Character.toString(points[i]), i);
    }
    model.put("unk_token", Character.toString(points[0])); // the format wants one
    return compact(json);
  }
}
