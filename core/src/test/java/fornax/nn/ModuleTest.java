package fornax.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Owner;
import fornax.backend.Unary;
import fornax.backend.reference.ReferenceBackend;
import fornax.tensor.Generator;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModuleTest {
  private final ReferenceBackend backend = new ReferenceBackend();

  @TempDir private Path folder;

  @AfterEach
  void nothingIsLeft() {
    assertEquals(List.of(), backend.memory().leaks());
    backend.close();
  }

  /// Takes whatever names a test gives it.
  private static final class Free extends Module {
    void add(String name, Tensor tensor) {
      var _ = parameter(name, tensor);
    }

    void add(String name, Module module) {
      var _ = child(name, module);
    }
  }

  private Sequential network(long seed) {
    var weights = Weights.on(backend, seed);
    return new Sequential(
        new Linear(weights, 3, 4, Unary.RELU), Activation.tanh(), new Linear(weights, 4, 2));
  }

  @Test
  void parameters_haveTheirPathsInOrder() {
    try (var network = network(1)) {
      assertEquals(
          List.of("0.weight", "0.bias", "2.weight", "2.bias"),
          List.copyOf(network.parameters().keySet()));
      assertEquals(Shape.of(3, 4), network.parameters().firstEntry().getValue().shape());
      assertEquals(3 * 4 + 4 + 4 * 2 + 2, network.parameterCount());
    }
  }

  @Test
  void buffers_areSavedUnderTheirPathsButNotTrained() throws IOException {
    Path file = folder.resolve("state.safetensors");
    var weights = Weights.on(backend, 1);
    List<String> names =
        List.of(
            "0.weight",
            "0.bias",
            "0.running_mean",
            "0.running_var",
            "0.num_batches_tracked",
            "1.weight",
            "1.bias");
    try (var network = new Sequential(new BatchNorm(weights, 2), new Linear(weights, 2, 1));
        var other = new Sequential(new BatchNorm(weights, 2), new Linear(weights, 2, 1));
        var _ = Scope.open()) {
      assertEquals(names, List.copyOf(network.storedParameters().keySet()));
      assertEquals(4, network.parameters().size());
      Tensor _ = network.forward(Tensors.on(backend).of(new float[] {1, 2, 3, 5}, Shape.of(2, 2)));
      network.save(file);
      var _ = other.load(file);
      for (String name : names) {
        assertArrayEquals(
            Objects.requireNonNull(network.state().get(name)).toDoubleArray(),
            Objects.requireNonNull(other.state().get(name)).toDoubleArray(),
            name);
      }
      assertEquals(1, Objects.requireNonNull(other.state().get(names.get(4))).item());
    }
  }

  @Test
  void parameter_isALeafOfNoScopeCountedAsParameter() {
    Sequential network;
    try (var _ = Scope.open()) {
      network = network(1);
    }
    try (network) {
      assertEquals(4 * 26, backend.memory().live(Owner.PARAMETERS));
      assertEquals(4 * 26, backend.memory().stats().live());
      network
          .parameters()
          .values()
          .forEach(
              parameter -> {
                assertTrue(parameter.requiresGrad());
                assertFalse(parameter.isClosed());
              });
    }
  }

  @Test
  void names_mustBeNewAndWithoutDots() {
    try (var module = new Free();
        var _ = Scope.open()) {
      module.add("a", Tensors.on(backend).zeros(DType.F32, Shape.of(1)));
      Tensor another = Tensors.on(backend).zeros(DType.F32, Shape.of(1));
      for (String name : List.of("a", "", "b.c")) {
        var e = assertThrows(IllegalArgumentException.class, () -> module.add(name, another));
        assertContains('"' + name + '"', e);
        assertThrows(IllegalArgumentException.class, () -> module.add(name, Activation.relu()));
      }
      Tensor indices = Tensors.on(backend).zeros(DType.I32, Shape.of(1));
      assertThrows(IllegalArgumentException.class, () -> module.add("indices", indices));
    }
  }

  @Test
  void train_andEvalReachAllParts() {
    try (var generator = new Generator(backend, 1)) {
      var inner = new Dropout(0.5, generator);
      try (var outer = new Sequential(new Sequential(inner))) {
        assertTrue(inner.isTraining());
        outer.eval();
        assertFalse(inner.isTraining());
        assertFalse(outer.isTraining());
        outer.train();
        assertTrue(inner.isTraining());
      }
    }
  }

  @Test
  void zeroGrad_forgetsAllGradients() {
    try (var network = network(1);
        var _ = Scope.open()) {
      network.forward(Tensors.on(backend).ones(DType.F32, Shape.of(5, 3))).sum().backward();
      network.parameters().forEach((path, p) -> assertTrue(p.grad() != null, path));
      network.zeroGrad();
      network.parameters().forEach((path, p) -> assertTrue(p.grad() == null, path));
    }
  }

  @Test
  void summary_tabulatesLayersAndTotals() {
    try (var network = network(1)) {
      assertEquals(
          """
          layer  type    shapes                   parameters  bytes
          0      Linear  weight [3, 4], bias [4]          16     64
          1      Tanh                                      0      0
          2      Linear  weight [4, 2], bias [2]          10     40
          total                                           26    104
          """,
          network.summary());
    }
  }

  @Test
  void sameSeed_sameParameters() {
    try (var a = network(7);
        var b = network(7);
        var c = network(8)) {
      a.parameters().keySet().forEach(path -> assertEquals(floats(a, path), floats(b, path), path));
      assertNotEquals(floats(a, "0.weight"), floats(c, "0.weight"));
    }
  }

  private static List<Float> floats(Module module, String path) {
    Tensor tensor = Objects.requireNonNull(module.parameters().get(path), path);
    List<Float> floats = new ArrayList<>();
    for (float value : tensor.toFloatArray()) {
      floats.add(value);
    }
    return floats;
  }

  private static void assertContains(String part, Exception e) {
    String message = String.valueOf(e.getMessage());
    assertTrue(message.contains(part), message);
  }

  @Test
  void zeros_areParametersOfTheSameShapes() {
    try (var random = network(1);
        var zeros = new Linear(Weights.zeros(backend, 1), 3, 4)) {
      assertEquals(List.of(0f, 0f, 0f, 0f), floats(zeros, "bias"));
      Tensor weight = Objects.requireNonNull(random.parameters().get("0.weight"));
      assertEquals(weight.shape(), zeros.weight().shape());
    }
  }

  @Test
  void load_givesBackWhatWasSaved() throws IOException {
    Path file = folder.resolve("network.safetensors");
    try (var saved = network(1);
        var loaded = network(2)) {
      saved.save(file, Map.of("note", "hello"));
      assertEquals(Map.of("note", "hello"), loaded.load(file));
      saved
          .parameters()
          .keySet()
          .forEach(path -> assertEquals(floats(saved, path), floats(loaded, path), path));
    }
  }

  @Test
  void load_namesWhatIsMissingExtraOrOfAnotherShape() throws IOException {
    Path file = folder.resolve("network.safetensors");
    var weights = Weights.on(backend, 1);
    try (var saved =
            new Sequential(
                new Linear(weights, 3, 5),
                new Linear(weights, 5, 2, noBias()),
                new RmsNorm(weights, 2));
        var other = network(2)) {
      saved.save(file);
      var before = floats(other, "0.weight");
      var e = assertThrows(IOException.class, () -> other.load(file));
      assertContains("0.weight is [3, 5] where [3, 4] is needed", e);
      assertContains("missing 2.bias [2]", e);
      assertContains("extra 1.weight [5, 2]", e);
      assertEquals(before, floats(other, "0.weight"), "nothing was loaded");
    }
  }

  @Test
  void load_isAChangeInPlace() throws IOException {
    Path file = folder.resolve("network.safetensors");
    try (var network = network(1);
        var _ = Scope.open()) {
      network.save(file);
      Tensor y = network.forward(Tensors.on(backend).ones(DType.F32, Shape.of(5, 3))).sum();
      assertEquals(Map.of(), network.load(file));
      assertThrows(IllegalStateException.class, y::backward);
    }
  }

  private static Linear.Options noBias() {
    return Linear.Options.DEFAULT.withoutBias();
  }

  @Test
  void close_twiceIsAllowed() {
    var network = network(1);
    network.close();
    network.close();
    assertEquals(0, backend.memory().stats().live());
  }
}
