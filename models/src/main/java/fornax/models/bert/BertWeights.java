package fornax.models.bert;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.OnnxFile;
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
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.regex.Pattern;

/// The weights of a [Bert] in files: a folder as Hugging Face publishes it (`config.json` and
/// `model.safetensors`), or an `.onnx` file that PyTorch exported.
///
/// Opening checks the config and all names and shapes, and reads no weights. Names may begin with
/// `bert.`; what stands behind the encoder, poolers and heads, is left out.
public final class BertWeights implements AutoCloseable {
  private static final String PREFIX = "bert.";
  private static final Pattern UNUSED =
      Pattern.compile("(pooler|cls|classifier|qa_outputs)\\..*|embeddings\\.position_ids");
  private static final String WEIGHT = ".weight";
  private static final String BIAS = ".bias";
  private static final int MOST_NAMED = 5; // faults in one message

  private final Path path;
  private final BertConfig config;
  private final Runnable unmap;
  private final SequencedMap<String, HostTensor> tensors = new LinkedHashMap<>();

  private BertWeights(Path path, BertConfig config, Runnable unmap) {
    this.path = path;
    this.config = config;
    this.unmap = unmap;
  }

  /// Opens and checks a folder of Hugging Face's.
  ///
  /// @throws IOException if a file is missing or corrupt, if the model is none that [Bert]
  ///   computes, or if a tensor is missing, extra or of another shape; the message names these with
  ///   both shapes
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  public static BertWeights openFolder(Path folder) throws IOException {
    BertConfig config = BertConfigFile.read(folder.resolve("config.json"));
    Path path = folder.resolve("model.safetensors");
    if (!Files.isRegularFile(path)) {
      throw new IOException(folder + ": no weights; need model.safetensors");
    }
    SafeTensors file = SafeTensors.open(path);
    var weights = new BertWeights(path, config, file::close);
    try {
      for (String name : file.names()) {
        HostTensor stored = file.entry(name);
        String plain = plain(name);
        weights.put(plain, BertNames.isMatrix(plain) ? transposed(plain, stored) : stored);
      }
      weights.check();
      return weights;
    } catch (Throwable e) {
      weights.close();
      throw e;
    }
  }

  /// Opens and checks an `.onnx` file of a model whose sizes are `config`. Matrices may have lost
  /// their names there: each is known by the name of the bias that is added to its product.
  ///
  /// @throws fornax.io.CorruptFileException if the file is damaged
  /// @throws IOException if it is missing, or a tensor is missing, extra or of another shape; the
  ///   message names these with both shapes
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result
  public static BertWeights openOnnx(Path path, BertConfig config) throws IOException {
    OnnxFile file = OnnxFile.open(path);
    var weights = new BertWeights(path, config, file::close);
    try {
      Map<String, String> named = matrixNames(file);
      for (Map.Entry<String, HostTensor> entry : file.initializers().entrySet()) {
        String name = entry.getKey();
        weights.put(plain(named.getOrDefault(name, name)), entry.getValue());
      }
      weights.check();
      return weights;
    } catch (Throwable e) {
      weights.close();
      throw e;
    }
  }

  private static String plain(String name) {
    return name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : name;
  }

  // The initializers that a MatMul reads, with the name `layer.weight` where the MatMul's consumer
  // adds `layer.bias`.
  private static Map<String, String> matrixNames(OnnxFile file) {
    Map<String, String> products = new HashMap<>(); // a product's name, to its matrix
    for (OnnxFile.Node node : file.nodes()) {
      if (node.operation().equals("MatMul")
          && node.inputs().size() == 2
          && node.outputs().size() == 1
          && file.initializers().containsKey(node.inputs().get(1))) {
        products.put(node.outputs().getFirst(), node.inputs().get(1));
      }
    }
    Map<String, String> names = new HashMap<>();
    for (OnnxFile.Node node : file.nodes()) {
      if (node.operation().equals("Add") && node.inputs().size() == 2) {
        name(node.inputs().get(0), node.inputs().get(1), products, names);
        name(node.inputs().get(1), node.inputs().get(0), products, names);
      }
    }
    return names;
  }

  private static void name(
      String bias, String product, Map<String, String> products, Map<String, String> names) {
    String matrix = products.get(product);
    if (matrix != null && bias.endsWith(BIAS)) {
      names.put(matrix, bias.substring(0, bias.length() - BIAS.length()) + WEIGHT);
    }
  }

  private void put(String name, HostTensor tensor) throws IOException {
    if (!UNUSED.matcher(name).matches() && tensors.put(name, tensor) != null) {
      throw new IOException(path + ": " + name + " stands twice; need it once");
    }
  }

  // Hugging Face's layers are [out, in].
  private static HostTensor transposed(String name, HostTensor stored) throws IOException {
    if (stored.shape().rank() != 2) {
      throw new IOException(name + " is " + stored.shape() + "; need a matrix");
    }
    if (Math.max(stored.shape().dim(0), stored.shape().dim(1)) > Integer.MAX_VALUE) {
      throw new IOException(name + " is " + stored.shape() + "; need at most 2^31 − 1 of each");
    }
    int rows = Math.toIntExact(stored.shape().dim(0));
    int columns = Math.toIntExact(stored.shape().dim(1));
    Shape shape = Shape.of(columns, rows);
    return new HostTensor(
        FileDType.F32, shape, () -> transposed(stored, rows, columns, shape).bytes());
  }

  private static HostTensor transposed(HostTensor stored, int rows, int columns, Shape shape) {
    try {
      float[] from = stored.floats();
      float[] to = new float[from.length];
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
          to[j * rows + i] = from[i * columns + j];
        }
      }
      MemorySegment bytes = stored.bytes();
      if (bytes.isMapped()) {
        bytes.unload();
      }
      return HostTensor.ofFloats(FileDType.F32, shape, to);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void check() throws IOException {
    if (config.layers() > tensors.size()) { // a config cannot make us count to two thousand million
      throw new IOException(
          path
              + ": num_hidden_layers too large; got "
              + config.layers()
              + " for "
              + tensors.size()
              + " tensors; need both of one model");
    }
    List<String> faults = new ArrayList<>();
    SequencedMap<String, Shape> needed = BertNames.shapes(config);
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
            faults.add("extra " + name + " " + stored.shape());
          }
        });
    if (!faults.isEmpty()) {
      int named = Math.min(MOST_NAMED, faults.size());
      throw new IOException(
          path
              + ": tensors do not match; got "
              + String.join(", ", faults.subList(0, named))
              + (named < faults.size() ? " and " + (faults.size() - named) + " more" : "")
              + "; need the "
              + needed.size()
              + " tensors of "
              + config
              + " (matrices as [in, out])");
    }
    for (Map.Entry<String, HostTensor> entry : tensors.entrySet()) {
      switch (entry.getValue().dtype()) {
        case F16, BF16, F32, F64 -> {}
        case I32, I64, U8, BOOL ->
            throw new IOException(
                path
                    + ": "
                    + entry.getKey()
                    + " is "
                    + entry.getValue()
                    + "; need F32, F16 or BF16");
      }
    }
  }

  /// The model's sizes.
  public BertConfig config() {
    return config;
  }

  /// The tensors by Hugging Face's names without a prefix, the matrices as `[in, out]`: valid until
  /// this is closed.
  public SequencedMap<String, HostTensor> tensors() {
    return Collections.unmodifiableSequencedMap(tensors);
  }

  /// The model on `backend`, in evaluation mode.
  ///
  /// @throws IOException if a value cannot be read
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed here or by the caller
  public Bert model(Backend backend) throws IOException {
    var model = new Bert(config, Weights.zeros(backend, 0));
    try {
      for (Map.Entry<String, Tensor> entry : model.parameters().entrySet()) {
        HostTensor stored = tensors.get(BertNames.of(entry.getKey()));
        if (stored == null) {
          throw new AssertionError(entry.getKey());
        }
        TensorFile.upload(stored, entry.getValue());
      }
      model.eval();
      return model;
    } catch (UncheckedIOException e) {
      model.close();
      throw e.getCause();
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /// Unmaps the file.
  @Override
  public void close() {
    unmap.run();
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
