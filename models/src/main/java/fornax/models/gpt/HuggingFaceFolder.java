package fornax.models.gpt;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.io.AtomicFile;
import fornax.io.BoundedFile;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.nn.TensorFile;
import fornax.nn.Weights;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.LongConsumer;
import java.util.regex.Pattern;

/// A folder of GPT-2 weights as Hugging Face publishes them: `config.json` with
/// `model.safetensors`, or with its parts and `model.safetensors.index.json`.
///
/// Opening checks the config and the names and shapes of all tensors, and reads no weights: the
/// files are mapped, and each tensor's pages leave the memory when it has been taken. Names may
/// begin with `transformer.`; the stored causal masks are left out, and so is the output head if it
/// equals the token table.
///
/// ```java
/// try (var folder = HuggingFaceFolder.open(path);
///     var gpt = folder.model(backend)) {
///   int[] tokens = new TextGenerator(gpt).generate(prompt, 20, Sampling.GREEDY);
/// }
/// ```
public final class HuggingFaceFolder implements AutoCloseable {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .build();
  private static final String WEIGHTS = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final String PREFIX = "transformer.";
  private static final String HEAD = "lm_head.weight";
  private static final Pattern MASK = Pattern.compile("h\\.\\d+\\.attn\\.(bias|masked_bias)");
  private static final int MOST_NAMED = 5; // faults in one message
  private static final int EXCERPT = 100; // characters of a file in a message
  private static final long MAX_JSON_BYTES = 1 << 26; // an index of 100,000 tensors is a tenth
  private static final Pattern FILE_NAME = Pattern.compile("[\\w-][\\w .=+-]{0,199}");

  private final Path path;
  private final GptConfig config;
  private final List<SafeTensors> files = new ArrayList<>();
  private final SequencedMap<String, HostTensor> tensors = new LinkedHashMap<>();

  private HuggingFaceFolder(Path path, GptConfig config) {
    this.path = path;
    this.config = config;
  }

  /// Whether `path` is a folder of this kind, of any model type.
  public static boolean isOne(Path path) {
    try {
      return Files.isRegularFile(path.resolve("config.json"))
          && json(path.resolve("config.json")).has("model_type");
    } catch (IOException _) {
      return false;
    }
  }

  /// Opens and checks the folder `path`.
  ///
  /// @throws IOException if a file is missing or corrupt, if the model is none that [Gpt] computes,
  ///   or if a tensor is missing, extra or of another shape; the message names these with both
  ///   shapes
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  public static HuggingFaceFolder open(Path path) throws IOException {
    Path file = path.resolve("config.json");
    var folder = new HuggingFaceFolder(path, HuggingFaceConfig.read(file, json(file)));
    try {
      folder.openFiles();
      folder.check();
      return folder;
    } catch (Throwable e) {
      folder.close();
      throw e;
    }
  }

  private static JsonNode json(Path file) throws IOException {
    try {
      return JSON.readTree(BoundedFile.read(file, MAX_JSON_BYTES));
    } catch (JacksonException e) {
      throw new IOException(
          file
              + ": not valid: "
              + excerpt(e.getOriginalMessage().lines().findFirst().orElse("no JSON"))
              + "; need a JSON object",
          e);
    }
  }

  /// The beginning of what a file says, for a message.
  static String excerpt(Object said) {
    String text = said.toString();
    return text.length() <= EXCERPT ? text : text.substring(0, EXCERPT) + "...";
  }

  /// The sizes that `config.json` gives.
  public GptConfig config() {
    return config;
  }

  /// The tensors by their names without a prefix, in the type that they are stored in: valid until
  /// this is closed.
  public SequencedMap<String, HostTensor> tensors() {
    return Collections.unmodifiableSequencedMap(tensors);
  }

  /// The tensors as F32, which is what [Gpt#save] writes: converted when their turn comes.
  public SequencedMap<String, HostTensor> floatTensors() {
    SequencedMap<String, HostTensor> all = new LinkedHashMap<>();
    tensors.forEach(
        (name, stored) ->
            all.put(
                name,
                stored.dtype() == FileDType.F32
                    ? stored
                    : new HostTensor(FileDType.F32, stored.shape(), () -> converted(stored))));
    return all;
  }

  private static MemorySegment converted(HostTensor stored) {
    try {
      return HostTensor.ofFloats(FileDType.F32, stored.shape(), stored.floats()).bytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /// The model on `backend`, in training mode. The device holds the parameters and no more than one
  /// tensor besides at any time, and so does the host.
  ///
  /// @throws IOException if a value cannot be read
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  public Gpt model(Backend backend) throws IOException {
    var model = new Gpt(config, Weights.zeros(backend, 0));
    try {
      load(model);
      return model;
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /// Gives the parameters of `model` these values.
  ///
  /// @throws IllegalArgumentException if it is of another size
  /// @throws IOException if a value cannot be read
  public void load(Gpt model) throws IOException {
    load(model, _ -> {});
  }

  /// The same, with `loaded` told after each tensor how many elements have been read.
  ///
  /// @throws IllegalArgumentException likewise
  /// @throws IOException likewise
  public void load(Gpt model, LongConsumer loaded) throws IOException {
    if (!HuggingFaceNames.shapes(model.config()).equals(HuggingFaceNames.shapes(config))) {
      throw new IllegalArgumentException(
          "load: model of another size; got " + model.config() + "; need " + config);
    }
    long elements = 0;
    for (Map.Entry<String, Tensor> entry : model.storedParameters().entrySet()) {
      HostTensor stored = tensors.get(entry.getKey());
      if (stored == null) {
        throw new AssertionError(entry.getKey());
      }
      TensorFile.upload(stored, entry.getValue());
      elements += stored.shape().elements();
      loaded.accept(elements);
    }
  }

  /// Writes `config.json` and `model.safetensors` into `folder`, which is made where it is missing.
  /// The folder's other files stay.
  ///
  /// @param weights F32, by the names that [Gpt] stores them under
  /// @param endOfText the token that ends a text; negative: none
  /// @throws IOException if a file cannot be written
  public static void write(
      Path folder, GptConfig config, Map<String, HostTensor> weights, int endOfText)
      throws IOException {
    check(folder, HuggingFaceNames.shapes(config), weights);
    var _ = Files.createDirectories(folder);
    SafeTensors.write(folder.resolve(WEIGHTS), weights, Map.of("format", "pt"));
    ObjectNode json = HuggingFaceConfig.write(config, endOfText);
    AtomicFile.replace(
        folder.resolve("config.json"),
        JSON.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
  }

  // ---- opening

  private void openFiles() throws IOException {
    Path whole = path.resolve(WEIGHTS);
    Path index = path.resolve(INDEX);
    if (Files.isRegularFile(whole)) {
      SafeTensors file = add(whole);
      for (String name : file.names()) {
        take(name, file.entry(name));
      }
    } else if (Files.isRegularFile(index)) {
      openShards(index);
    } else {
      throw new IOException(path + ": no weights; need " + WEIGHTS + " or " + INDEX);
    }
  }

  private void openShards(Path index) throws IOException {
    JsonNode map = json(index).path("weight_map");
    if (!map.isObject() || map.isEmpty()) {
      throw new IOException(
          index + ": got no weight_map; need an object of tensor names and file names");
    }
    Map<String, SafeTensors> shards = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : map.properties()) {
      String name = entry.getValue().asText();
      if (!FILE_NAME.matcher(name).matches()) { // no other folder's, and none that no disk takes
        throw new IOException(
            index
                + ": got "
                + excerpt(entry.getValue())
                + " for "
                + excerpt(entry.getKey())
                + "; need a file name of letters, digits, dots and dashes");
      }
      SafeTensors shard = shards.get(name);
      if (shard == null) {
        shard = add(path.resolve(name));
        shards.put(name, shard);
      }
      take(entry.getKey(), shard.entry(entry.getKey()));
    }
    for (Map.Entry<String, SafeTensors> shard : shards.entrySet()) {
      for (String name : shard.getValue().names()) {
        if (!shard.getKey().equals(map.path(name).asText())) {
          throw new IOException(
              index
                  + ": "
                  + shard.getKey()
                  + " has "
                  + excerpt(name)
                  + " "
                  + shard.getValue().entry(name).shape()
                  + ", which the index does not place there; need both of one model");
        }
      }
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed with this
  private SafeTensors add(Path file) throws IOException {
    SafeTensors opened = SafeTensors.open(file);
    files.add(opened);
    return opened;
  }

  private void take(String name, HostTensor tensor) throws IOException {
    String plain = name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : name;
    if (MASK.matcher(plain).matches()) {
      return;
    }
    if (tensors.put(plain, tensor) != null) {
      throw new IOException(
          path
              + ": "
              + excerpt(plain)
              + " stands twice, with "
              + PREFIX
              + " and without; need one");
    }
  }

  private void check() throws IOException {
    HostTensor head = tensors.get(HEAD);
    HostTensor table = tensors.get("wte.weight");
    if (head != null && table != null) {
      if (head.dtype() != table.dtype()
          || !head.shape().equals(table.shape())
          || head.bytes().mismatch(table.bytes()) != -1) {
        throw new IOException(
            path
                + ": "
                + HEAD
                + " "
                + head
                + " differs from wte.weight "
                + table
                + "; need a model whose output head is its token table");
      }
      head.bytes().unload();
      table.bytes().unload();
      var _ = tensors.remove(HEAD);
    }
    requireLayers();
    check(path, HuggingFaceNames.shapes(config), tensors);
    for (Map.Entry<String, HostTensor> entry : tensors.entrySet()) {
      switch (entry.getValue().dtype()) {
        case F16, BF16, F32, F64 -> {}
        case I32, I64, U8, BOOL ->
            throw new IOException(
                path
                    + ": "
                    + excerpt(entry.getKey())
                    + " is "
                    + entry.getValue()
                    + "; need F32, F16 or BF16");
      }
    }
  }

  // Each has tensors of its own: a config cannot make us count to two thousand million.
  private void requireLayers() throws IOException {
    if (config.layers() > tensors.size()) {
      throw new IOException(
          path
              + ": n_layer too large; got "
              + config.layers()
              + " for "
              + tensors.size()
              + " tensors; need both of one model");
    }
  }

  private static void check(
      Path where, SequencedMap<String, Shape> needed, Map<String, HostTensor> tensors)
      throws IOException {
    List<String> faults = new ArrayList<>();
    needed.forEach(
        (name, shape) -> {
          HostTensor stored = tensors.get(name);
          if (stored == null) {
            faults.add("missing " + name + " " + shape);
          } else if (!stored.shape().equals(shape)) {
            faults.add(name + " is " + stored.shape() + " where " + shape + " is needed");
          }
        });
    tensors.forEach(
        (name, stored) -> {
          if (!needed.containsKey(name)) {
            faults.add("extra " + excerpt(name) + " " + stored.shape());
          }
        });
    if (!faults.isEmpty()) {
      int named = Math.min(MOST_NAMED, faults.size());
      throw new IOException(
          where
              + ": tensors do not match; got "
              + String.join(", ", faults.subList(0, named))
              + (named < faults.size() ? " and " + (faults.size() - named) + " more" : "")
              + "; need exactly the "
              + needed.size()
              + " tensors that config.json describes");
    }
  }

  /// Unmaps the files.
  @Override
  public void close() {
    files.forEach(SafeTensors::close);
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
