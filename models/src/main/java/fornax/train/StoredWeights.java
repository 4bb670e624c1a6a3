package fornax.train;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.models.gpt.Gpt;
import fornax.models.gpt.GptConfig;
import fornax.models.gpt.HuggingFaceFolder;
import fornax.nn.TensorFile;
import fornax.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/// A [Gpt]'s weights in the files of a run, of one of its checkpoints, or of a Hugging Face model.
/// Those of a run that trained adapters are its base's, with the adapters merged.
///
/// Opening reads no weights: files are mapped, and a weight is merged when it is asked for.
public final class StoredWeights implements AutoCloseable {
  private static final int MOST_BASES = 16; // adapters of adapters of ...
  private static final int MOST_SHOWN = 500; // characters of a path in a message

  private final Path path;
  private final GptConfig config;
  private final SequencedMap<String, HostTensor> tensors = new LinkedHashMap<>();
  private final Deque<Runnable> open = new ArrayDeque<>();

  private StoredWeights(Path path, GptConfig config) {
    this.path = path;
    this.config = config;
  }

  /// Opens the weights in `folder`. Of a run that has not ended they are those of its newest
  /// checkpoint.
  ///
  /// @throws IOException if the folder is none of these, a file in it is missing, corrupt or not of
  ///   the same model as the others, or a base is not as it was when its adapters were trained
  @MustBeClosed
  public static StoredWeights open(Path folder) throws IOException {
    return open(folder, MOST_BASES);
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  private static StoredWeights open(Path folder, int bases) throws IOException {
    if (HuggingFaceFolder.isOne(folder)) {
      HuggingFaceFolder files = HuggingFaceFolder.open(folder);
      var weights = new StoredWeights(folder, files.config());
      weights.open.push(files::close);
      weights.tensors.putAll(files.floatTensors());
      return weights;
    }
    RunFolder run = newest(folder);
    RunConfig config = run.readConfig(RunConfig.class);
    var weights = new StoredWeights(run.path(), config.model());
    try {
      if (config.lora() == null) {
        weights.add(weights.map(run.model()));
      } else if (bases == 0) {
        throw new IOException(folder + ": adapters of more than " + MOST_BASES + " others");
      } else {
        weights.addMerged(run, config.lora(), bases - 1);
      }
      return weights;
    } catch (Throwable e) {
      weights.close();
      throw e;
    }
  }

  /// Opens the weights that the adapters of `run`, a run or a checkpoint, belong to.
  ///
  /// @throws IOException as [#open(Path)] does, or if they are not as they were
  @MustBeClosed
  public static StoredWeights openBase(RunFolder run, LoraConfig lora) throws IOException {
    return openBase(run, lora, MOST_BASES);
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  private static StoredWeights openBase(RunFolder run, LoraConfig lora, int bases)
      throws IOException {
    StoredWeights base = open(basePath(run, lora), bases);
    try {
      base.requireSha256(lora, run);
      return base;
    } catch (Throwable e) {
      base.close();
      throw e;
    }
  }

  private static RunFolder newest(Path folder) throws IOException {
    RunFolder run = RunFolder.open(folder);
    if (Checkpoints.isOne(folder)) {
      Checkpoints.verify(folder);
    } else if (!Files.isRegularFile(run.model()) && !Files.isRegularFile(run.adapter())) {
      Path newest = run.checkpoints().newest(false);
      return newest == null ? run : RunFolder.open(newest);
    }
    return run;
  }

  @SuppressWarnings("MustBeClosedChecker") // closed with this
  private SafeTensors map(Path file) throws IOException {
    SafeTensors tensors = SafeTensors.open(file);
    open.push(tensors::close);
    return tensors;
  }

  private void add(SafeTensors file) throws IOException {
    for (String name : file.names()) {
      tensors.put(name, file.entry(name));
    }
  }

  // ---- adapters

  @SuppressWarnings("MustBeClosedChecker") // closed with this
  private void addMerged(RunFolder run, LoraConfig lora, int bases) throws IOException {
    StoredWeights base = openBase(run, lora, bases);
    open.push(base::close);
    if (!base.config.withDropout(0).equals(config.withDropout(0))) {
      throw new IOException(
          run + ": adapters of another model; got " + config + "; need " + base.config);
    }
    SafeTensors adapter = map(run.adapter());
    tensors.putAll(base.tensors);
    int pairs = 0;
    for (Map.Entry<String, HostTensor> entry : base.tensors.entrySet()) {
      String a = Gpt.adapterName(entry.getKey(), "a");
      String b = Gpt.adapterName(entry.getKey(), "b");
      if (adapter.contains(a)) {
        var pair = new Pair(adapter.entry(a), adapter.entry(b), lora.options().scale());
        pair.check(a, entry.getValue(), lora.rank(), run.adapter());
        tensors.put(entry.getKey(), pair.added(entry.getValue()));
        pairs++;
      }
    }
    if (2 * pairs != adapter.names().size()) {
      throw new IOException(
          run.adapter()
              + ": got "
              + adapter.names().size()
              + " tensors, of which "
              + 2 * pairs
              + " adapt a weight of "
              + base
              + "; need both of one run");
    }
  }

  // Where a run and its base have moved together, the base is still beside the run.
  private static Path basePath(RunFolder run, LoraConfig lora) throws IOException {
    Path said = Path.of(lora.base());
    Path around = run.path().toAbsolutePath().getParent();
    if (Checkpoints.isOne(run.path()) && around != null && around.getParent() != null) {
      around = around.getParent().getParent(); // of runs/NAME/checkpoints/STEP
    }
    if (Files.isDirectory(said)) {
      return said;
    }
    Path beside = around == null ? said : around.resolve(String.valueOf(said.getFileName()));
    if (!Files.isDirectory(beside)) {
      throw new IOException(
          run
              + ": the weights that its adapters belong to are gone; got no folder "
              + shown(lora.base())
              + "; need it there, or beside the run");
    }
    return beside;
  }

  private static String shown(String path) {
    return path.length() <= MOST_SHOWN ? path : path.substring(0, MOST_SHOWN) + "...";
  }

  private void requireSha256(LoraConfig lora, RunFolder run) throws IOException {
    String found = sha256();
    if (!found.equals(lora.baseSha256())) {
      throw new IOException(
          run
              + ": the weights that its adapters belong to have changed; got SHA-256 "
              + found
              + " of "
              + path
              + "; need "
              + lora.baseSha256());
    }
  }

  /// The two matrices of an adapter, and what their product is multiplied by.
  private record Pair(HostTensor a, HostTensor b, double scale) {
    void check(String name, HostTensor weight, int rank, Path file) throws IOException {
      if (a.shape().rank() != 2
          || b.shape().rank() != 2
          || a.shape().dim(0) != weight.shape().dim(0)
          || a.shape().dim(1) != rank
          || b.shape().dim(0) != rank
          || b.shape().dim(1) != weight.shape().dim(-1)) {
        throw new IOException(
            file
                + ": "
                + name
                + " is "
                + a.shape()
                + ", its partner "
                + b.shape()
                + "; need rank "
                + rank
                + " for a weight "
                + weight.shape());
      }
    }

    HostTensor added(HostTensor weight) {
      return new HostTensor(FileDType.F32, weight.shape(), () -> sum(weight));
    }

    // Sums in double precision, rounded once.
    private MemorySegment sum(HostTensor weight) {
      try {
        float[] values = weight.floats();
        float[] left = a.floats();
        float[] right = b.floats();
        int rank = Math.toIntExact(a.shape().dim(1));
        int out = Math.toIntExact(b.shape().dim(1));
        double[] row = new double[out];
        for (int i = 0; i < values.length / out; i++) {
          for (int j = 0; j < out; j++) {
            row[j] = values[i * out + j];
          }
          for (int k = 0; k < rank; k++) {
            double factor = scale * left[i * rank + k];
            for (int j = 0; j < out; j++) {
              row[j] += factor * right[k * out + j];
            }
          }
          for (int j = 0; j < out; j++) {
            values[i * out + j] = (float) row[j];
          }
        }
        return HostTensor.ofFloats(FileDType.F32, weight.shape(), values).bytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  // ---- what they are

  /// The folder that holds them.
  public Path path() {
    return path;
  }

  /// The model's sizes.
  public GptConfig config() {
    return config;
  }

  /// The weights by the names that [Gpt] stores them under: valid until this is closed.
  public SequencedMap<String, HostTensor> tensors() {
    return Collections.unmodifiableSequencedMap(tensors);
  }

  /// The SHA-256 of names and values, in hexadecimal digits: the same wherever the weights are
  /// stored.
  ///
  /// @throws IOException if a value cannot be read
  public String sha256() throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (Map.Entry<String, HostTensor> entry : new TreeMap<>(tensors).entrySet()) {
        digest.update((entry.getKey() + "\n").getBytes(StandardCharsets.UTF_8));
        MemorySegment bytes = entry.getValue().bytes();
        digest.update(bytes.asByteBuffer());
        if (bytes.isMapped()) {
          bytes.unload();
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /// Gives the parameters of `model` these values; adapters that it has stay as they are.
  ///
  /// @throws IOException if a weight is missing, of another shape, or cannot be read
  public void load(Gpt model) throws IOException {
    load(model, _ -> {});
  }

  /// The same, with `loaded` told after each tensor how many elements have been read.
  ///
  /// @throws IOException likewise
  public void load(Gpt model, LongConsumer loaded) throws IOException {
    Map<String, Tensor> adapters = model.adapters();
    long elements = 0;
    try {
      for (Map.Entry<String, Tensor> entry : model.storedParameters().entrySet()) {
        if (adapters.containsKey(entry.getKey())) {
          continue;
        }
        HostTensor stored = tensors.get(entry.getKey());
        if (stored == null || !stored.shape().equals(entry.getValue().shape())) {
          throw new IOException(
              path
                  + ": "
                  + (stored == null
                      ? "missing " + entry.getKey()
                      : entry.getKey() + " is " + stored.shape())
                  + "; need "
                  + entry.getValue().shape());
        }
        TensorFile.upload(stored, entry.getValue());
        elements += stored.shape().elements();
        loaded.accept(elements);
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /// Unmaps the files.
  @Override
  public void close() {
    while (!open.isEmpty()) {
      open.pop().run();
    }
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
