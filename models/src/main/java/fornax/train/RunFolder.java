package fornax.train;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.MustBeClosed;
import fornax.io.AtomicFile;
import fornax.nn.Precision;
import fornax.train.TrainOptions.Checkpointing;
import fornax.train.TrainOptions.Decay;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// The folder of one training run: `config.json`, `tokenizer.json`, `model.safetensors`,
/// `metrics.jsonl` and [Checkpoints].
///
/// What makes a folder a run's is that its `config.json` says `"format": "fornax-run"`. Only such a
/// folder, an empty one or a new one is written to, so that no other file is ever lost. Each file
/// but the metrics is replaced as a whole ([AtomicFile]).
public final class RunFolder {
  static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.READ_ENUMS_USING_TO_STRING)
          .enable(SerializationFeature.WRITE_ENUMS_USING_TO_STRING)
          .build();

  private static final Set<String> NULLABLE = Set.of("validation");
  private static final String FORMAT_KEY = "format";
  private static final String FORMAT = "fornax-run";
  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss");
  static final long MAX_CONFIG_BYTES = 1 << 24; // far above any, so that no text runs us dry

  private static final int MOST_SAID = 300; // characters of a fault in a message

  private final Path path;

  RunFolder(Path path) {
    this.path = path;
  }

  /// Makes the new folder `runs/<yyyyMMdd-HHmmss>-<preset>`, with `-2`, `-3`, ... after it where
  /// that is taken, so that runs begun in the same second do not share one.
  ///
  /// @throws IllegalArgumentException if `preset` is no plain name
  /// @throws RunFolderException if it cannot be made
  public static RunFolder create(Path runs, String preset) throws RunFolderException {
    return create(runs, preset, LocalDateTime.now(ZoneId.systemDefault()));
  }

  static RunFolder create(Path runs, String preset, LocalDateTime time) throws RunFolderException {
    if (!preset.matches("[A-Za-z0-9][A-Za-z0-9._-]*")) {
      throw new IllegalArgumentException(
          "run: got the preset \"" + preset + "\"; need letters, digits, dots and dashes");
    }
    makeFolders(runs);
    String name = TIME.format(time) + "-" + preset;
    Path path = runs.resolve(name);
    for (int number = 2; !makeNew(path); number++) {
      path = runs.resolve(name + "-" + number);
    }
    return new RunFolder(path);
  }

  /// Takes `path` for a new run: it is made where it is missing; an empty folder and that of an
  /// earlier run, whose files the new ones will replace, are taken as they are.
  ///
  /// @throws RunFolderException if it is a file, holds files that are not a run's, or cannot be
  ///   written to
  public static RunFolder at(Path path) throws RunFolderException {
    makeFolders(path);
    var folder = new RunFolder(path);
    Path foreign = folder.isRun() ? null : anyFile(path);
    if (foreign != null) {
      throw new RunFolderException(
          "run: "
              + path
              + " holds other files ("
              + foreign.getFileName()
              + "); need a new or empty folder, or that of an earlier run; give another --out");
    }
    try {
      Files.delete(Files.createTempFile(path, ".fornax-", ".tmp"));
    } catch (IOException e) {
      throw unwritable(path, e);
    }
    return folder;
  }

  /// Opens the folder of a run that was begun before.
  ///
  /// @throws RunFolderException if `path` is no such folder
  public static RunFolder open(Path path) throws RunFolderException {
    if (!Files.isDirectory(path)) {
      throw new RunFolderException(
          "run: "
              + path
              + (Files.exists(path) ? " is no folder" : " does not exist")
              + "; need the folder of a run, as ./fornax train prints it");
    }
    var folder = new RunFolder(path);
    var _ = folder.configuration();
    return folder;
  }

  /// The folder itself.
  public Path path() {
    return path;
  }

  /// `config.json`: what the run was asked to do.
  public Path config() {
    return path.resolve("config.json");
  }

  /// `tokenizer.json`: how the run turns text into tokens.
  public Path tokenizer() {
    return path.resolve("tokenizer.json");
  }

  /// `model.safetensors`: the weights.
  public Path model() {
    return path.resolve("model.safetensors");
  }

  /// `adapter.safetensors`: of a run that trains adapters, in place of the weights.
  public Path adapter() {
    return path.resolve("adapter.safetensors");
  }

  /// `metrics.jsonl`: one JSON object a line.
  public Path metrics() {
    return path.resolve("metrics.jsonl");
  }

  /// `environment.json`: what the run runs on.
  public Path environment() {
    return path.resolve("environment.json");
  }

  /// `tensorboard/`: files of events.
  public Path tensorBoard() {
    return path.resolve("tensorboard");
  }

  /// Writes `environment.json`: `facts`, a record or a map.
  ///
  /// @throws IOException if it cannot be written
  public void writeEnvironment(Object facts) throws IOException {
    String text = JSON.writerWithDefaultPrettyPrinter().writeValueAsString(facts);
    AtomicFile.replace(environment(), text + "\n");
  }

  /// `checkpoints/`: where training can go on from.
  public Checkpoints checkpoints() {
    return new Checkpoints(path.resolve("checkpoints"));
  }

  /// Writes `config.json`: the mark of a run's folder, and then the members of `config`, a record
  /// or a map, in their order.
  ///
  /// @throws IllegalArgumentException if `config` is written to JSON as something else than an
  ///   object
  /// @throws IOException if it cannot be written
  public void writeConfig(Object config) throws IOException {
    if (!(JSON.<JsonNode>valueToTree(config) instanceof ObjectNode members)) {
      throw new IllegalArgumentException(
          "run: got a config of " + config.getClass() + "; need a record or a map");
    }
    ObjectNode marked = JSON.createObjectNode().put(FORMAT_KEY, FORMAT);
    marked.setAll(members);
    marked.put(FORMAT_KEY, FORMAT);
    String text = JSON.writerWithDefaultPrettyPrinter().writeValueAsString(marked);
    AtomicFile.replace(config(), text + "\n");
  }

  /// Reads back what [#writeConfig] wrote, as a `type`: every member must be there, and none
  /// besides; but runs from before there was a choice of something say nothing of it: they had its
  /// default.
  ///
  /// @throws RunFolderException if it is missing or not what a `type` needs
  public <T> T readConfig(Class<T> type) throws RunFolderException {
    ObjectNode members = configuration();
    var _ = members.remove(FORMAT_KEY);
    if (type == RunConfig.class) {
      addDefault(members, "matmul", "");
      addDefault(members, "instructions", false);
      addDefault(members, "adapters", List.of());
    }
    if (type == RunConfig.class && members.get("training") instanceof ObjectNode training) {
      addDefault(training, "precision", Precision.F32);
      addDefault(training, "checkpointing", Checkpointing.NONE);
      addDefault(training, "labelSmoothing", 0.0);
      addDefault(training, "overfitOneBatch", false);
      addDefault(training, "recompute", false);
      if (training.get("optimizer") instanceof ObjectNode optimizer) {
        addDefault(optimizer, "schedule", Decay.COSINE);
      }
    }
    try {
      return type == RunConfig.class ? value(members, type) : JSON.treeToValue(members, type);
    } catch (JacksonException e) {
      throw invalid(reason(e), e);
    }
  }

  /// What `members` say, of a type of which only [#NULLABLE] may be null.
  static <T> T value(ObjectNode members, Class<T> type) throws JacksonException {
    String empty = nullMember("", members);
    if (empty != null) {
      throw new JsonMappingException(null, "\"" + empty + "\" is null");
    }
    return JSON.treeToValue(members, type);
  }

  /// The name of the first member that is null and may not be; null where there is none.
  private static @Nullable String nullMember(String name, JsonNode json) {
    if (json.isNull() && !NULLABLE.contains(name)) {
      return name;
    }
    for (JsonNode item : json.isArray() ? json : List.<JsonNode>of()) {
      String found = nullMember(name, item);
      if (found != null) {
        return found;
      }
    }
    for (Map.Entry<String, JsonNode> member : json.properties()) {
      String found = nullMember(member.getKey(), member.getValue());
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  static void addDefault(ObjectNode members, String name, Object value) {
    if (!members.has(name)) {
      var _ = members.set(name, JSON.valueToTree(value));
    }
  }

  /// Begins `metrics.jsonl` anew.
  ///
  /// @throws IOException if it cannot be written
  @MustBeClosed
  public MetricsLog startMetrics() throws IOException {
    return MetricsLog.open(metrics(), 0);
  }

  /// Goes on with the first `bytes` of `metrics.jsonl`. What is behind them is dropped, and so is a
  /// last line that was cut off in the middle.
  ///
  /// @throws IOException if it cannot be written
  @MustBeClosed
  public MetricsLog continueMetrics(long bytes) throws IOException {
    return MetricsLog.open(metrics(), bytes);
  }

  /// Keeps other processes from writing to the folder until the result is closed, or this process
  /// ends, however it does.
  ///
  /// @throws RunFolderException if another process, or another training of this one, is at it
  @MustBeClosed
  public RunLock lock() throws RunFolderException {
    return RunLock.of(path);
  }

  @Override
  public String toString() {
    return path.toString();
  }

  private boolean isRun() {
    try {
      var _ = configuration();
      return true;
    } catch (RunFolderException _) {
      return false;
    }
  }

  private ObjectNode configuration() throws RunFolderException {
    if (!Files.isRegularFile(config())) {
      throw new RunFolderException(
          "run: " + path + " has no config.json; need the folder of a run");
    }
    try {
      if (Files.size(config()) > MAX_CONFIG_BYTES) {
        throw invalid("longer than " + MAX_CONFIG_BYTES + " bytes", null);
      }
      JsonNode config = JSON.readTree(Files.readAllBytes(config()));
      if (config instanceof ObjectNode members
          && FORMAT.equals(members.path(FORMAT_KEY).textValue())) {
        return members;
      }
    } catch (JacksonException e) {
      throw invalid(reason(e), e);
    } catch (RunFolderException e) {
      throw e;
    } catch (IOException e) {
      throw new RunFolderException("run: " + config() + " cannot be read: " + cause(e), e);
    }
    throw invalid("no \"" + FORMAT_KEY + "\": \"" + FORMAT + "\" in it", null);
  }

  private RunFolderException invalid(String reason, @Nullable Throwable cause) {
    String message =
        "run: " + config() + " is not valid: " + reason + "; need one that a run wrote";
    return cause == null ? new RunFolderException(message) : new RunFolderException(message, cause);
  }

  /// The fault on one line: what the type's own constructor said where it refused the values.
  static String reason(JacksonException e) {
    Throwable cause = e.getCause();
    String message =
        cause instanceof IllegalArgumentException ? cause.getMessage() : e.getOriginalMessage();
    String line = message == null ? "no JSON" : message.lines().findFirst().orElse("no JSON");
    return line.length() <= MOST_SAID ? line : line.substring(0, MOST_SAID) + "...";
  }

  /// Whether `path` was free and is now a folder.
  private static boolean makeNew(Path path) throws RunFolderException {
    try {
      var _ = Files.createDirectory(path);
      return true;
    } catch (FileAlreadyExistsException _) {
      return false;
    } catch (IOException e) {
      throw unwritable(path, e);
    }
  }

  private static void makeFolders(Path path) throws RunFolderException {
    try {
      var _ = Files.createDirectories(path);
    } catch (FileAlreadyExistsException e) {
      throw new RunFolderException(
          "run: " + e.getFile() + " is a file; need a folder; give another --out", e);
    } catch (IOException e) {
      throw unwritable(path, e);
    }
  }

  private static @Nullable Path anyFile(Path folder) throws RunFolderException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        if (!file.endsWith(RunLock.FILE)) {
          return file;
        }
      }
      return null;
    } catch (IOException e) {
      throw unwritable(folder, e);
    }
  }

  static RunFolderException unwritable(Path path, IOException e) {
    return new RunFolderException(
        "run: "
            + path
            + " cannot be written to: "
            + cause(e)
            + "; need a folder you may write to; give another --out",
        e);
  }

  /// What a file system's error says without the file's name, which the message has already.
  private static String cause(IOException e) {
    String reason = e instanceof FileSystemException fault ? fault.getReason() : e.getMessage();
    return reason == null ? e.getClass().getSimpleName() : reason;
  }
}
