package fornax.io;

import com.google.errorprone.annotations.MustBeClosed;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/// The weights of an `.onnx` file, and which node reads them: a model's graph as far as it takes to
/// read its parameters. The graph is not computed.
///
/// The file is mapped and its tensors are not copied; opening checks every tensor's size. It must
/// not be cut short while it is open.
///
/// ```java
/// try (var file = OnnxFile.open(path)) {
///   float[] bias = file.initializers().get("encoder.bias").floats();
/// }
/// ```
///
/// Source: onnx.proto, github.com/onnx/onnx.
public final class OnnxFile implements AutoCloseable {
  private static final int MODEL_GRAPH = 7;
  private static final int GRAPH_NODE = 1;
  private static final int GRAPH_INITIALIZER = 5;

  private final Arena arena;
  private final SequencedMap<String, HostTensor> initializers = new LinkedHashMap<>();
  private final List<Node> nodes = new ArrayList<>();

  /// One operation of the graph.
  ///
  /// @param operation its type, such as `MatMul`
  /// @param inputs the names of what it reads; those of initializers among them
  /// @param outputs the names of what it computes
  public record Node(String operation, List<String> inputs, List<String> outputs) {
    public Node {
      inputs = List.copyOf(inputs);
      outputs = List.copyOf(outputs);
    }
  }

  private OnnxFile(Arena arena) {
    this.arena = arena;
  }

  /// Maps `path` and indexes its tensors. Closing the result unmaps it: segments taken from it then
  /// throw [IllegalStateException].
  ///
  /// @throws CorruptFileException if it breaks the format, or a tensor of it cannot be read here
  /// @throws IOException if it is missing, a folder or may not be read
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena closes with the result
  public static OnnxFile open(Path path) throws IOException {
    Arena arena = Arena.ofShared();
    try {
      var file = new OnnxFile(arena);
      file.readModel(path, MappedFile.map(path, ".onnx", arena));
      return file;
    } catch (Throwable e) {
      arena.close();
      throw e;
    }
  }

  /// The stored tensors by name, in the file's order: valid until this is closed.
  public SequencedMap<String, HostTensor> initializers() {
    return Collections.unmodifiableSequencedMap(initializers);
  }

  /// The operations, in the file's order.
  public List<Node> nodes() {
    return Collections.unmodifiableList(nodes);
  }

  private void readModel(Path path, MemorySegment bytes) throws CorruptFileException {
    var model = new ProtobufReader(path, bytes);
    boolean found = false;
    while (model.next()) {
      if (model.field() == MODEL_GRAPH) {
        readGraph(path, model.message());
        found = true;
      } else {
        model.skip();
      }
    }
    if (!found) {
      throw new CorruptFileException(path, null, "found no graph", "an ONNX model");
    }
  }

  private void readGraph(Path path, ProtobufReader graph) throws CorruptFileException {
    while (graph.next()) {
      switch (graph.field()) {
        case GRAPH_NODE -> nodes.add(node(graph.message()));
        case GRAPH_INITIALIZER -> {
          var tensor = new OnnxTensor(path);
          HostTensor value = tensor.read(graph.message());
          if (initializers.put(tensor.name(), value) != null) {
            throw new CorruptFileException(
                path, tensor.name(), "stands twice", "each tensor at most once");
          }
        }
        default -> graph.skip();
      }
    }
  }

  private static Node node(ProtobufReader message) throws CorruptFileException {
    List<String> inputs = new ArrayList<>();
    List<String> outputs = new ArrayList<>();
    String operation = "";
    while (message.next()) {
      switch (message.field()) {
        case 1 -> inputs.add(message.string());
        case 2 -> outputs.add(message.string());
        case 4 -> operation = message.string();
        default -> message.skip();
      }
    }
    return new Node(operation, inputs, outputs);
  }

  /// Unmaps the file.
  @Override
  public void close() {
    arena.close();
  }
}
