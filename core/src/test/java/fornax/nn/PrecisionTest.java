package fornax.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.backend.Owner;
import fornax.backend.Unary;
import fornax.backend.reference.ReferenceBackend;
import fornax.optim.AdamW;
import fornax.optim.Optimizer;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.optim.Sgd;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PrecisionTest {
  private final ReferenceBackend backend = new ReferenceBackend();

  @TempDir private Path folder;

  @AfterEach
  void nothingIsLeft() {
    assertEquals(List.of(), backend.memory().leaks());
    backend.close();
  }

  private Linear linear(long seed) {
    return new Linear(Weights.on(backend, seed), 5, 3, Unary.GELU_TANH);
  }

  private Tensor input() {
    return Tensors.on(backend).range(DType.F32, -1, 0.1, 20).reshape(4, 5);
  }

  private static float[] rounded(Tensor master) {
    float[] values = master.toFloatArray();
    for (int i = 0; i < values.length; i++) {
      values[i] = DType.fromBFloat16(DType.toBFloat16(values[i]));
    }
    return values;
  }

  private static void assertFollows(Tensor master) {
    assertEquals(DType.BF16, master.working().dtype());
    assertArrayEquals(rounded(master), master.working().toFloatArray());
  }

  @Test
  void of_takesTheNamesOfOptions() {
    for (Precision precision : Precision.values()) {
      assertSame(precision, Precision.of(precision.toString()));
    }
    var e = assertThrows(IllegalArgumentException.class, () -> Precision.of("BF16"));
    assertEquals("precision: unknown; got BF16; need f32, tf32, bf16 or f16", e.getMessage());
  }

  @Test
  void f32_isWhatANewModuleComputesIn() {
    try (var layer = linear(1);
        var _ = Scope.open()) {
      assertSame(Precision.F32, layer.precision());
      assertSame(layer.weight(), layer.weight().working());
      assertNull(layer.weight().workingArray());
      assertEquals(DType.F32, layer.forward(input()).dtype());
    }
  }

  @Test
  void bf16_activationsAreRoundedAndParametersAndGradientsAreNot() {
    try (var layer = linear(1);
        var _ = Scope.open()) {
      float[] before = layer.weight().toFloatArray();
      layer.computeIn(Precision.BF16);
      assertArrayEquals(before, layer.weight().toFloatArray());
      assertEquals(DType.F32, layer.weight().dtype());
      assertFollows(layer.weight());
      Tensor y = layer.forward(input());
      assertEquals(DType.BF16, y.dtype());
      y.to(DType.F32).square().sum().backward();
      for (Tensor parameter : layer.parameters().values()) {
        Tensor gradient = Objects.requireNonNull(parameter.grad());
        assertEquals(DType.F32, gradient.dtype());
        assertFalse(
            java.util.Arrays.equals(rounded(gradient), gradient.toFloatArray()),
            "a sum of products of BF16 numbers is no BF16 number");
      }
    }
  }

  @Test
  void bf16_reachesAllPartsAndNotTheNorms() {
    var weights = Weights.on(backend, 3);
    try (var network =
            new Sequential(
                new Linear(weights, 5, 8), new LayerNorm(weights, 8), new Linear(weights, 8, 2));
        var _ = Scope.open()) {
      network.computeIn(Precision.BF16);
      network
          .parameters()
          .forEach(
              (path, parameter) ->
                  assertEquals(
                      path.equals("0.weight") || path.equals("2.weight"),
                      parameter.workingArray() != null,
                      path));
      assertEquals(DType.BF16, network.forward(input()).dtype());
    }
  }

  @Test
  void copies_areCountedAsParametersAndGivenBack() {
    try (var layer = linear(1)) {
      long before = backend.memory().stats().live();
      long parameters = backend.memory().live(Owner.PARAMETERS);
      layer.computeIn(Precision.BF16);
      assertEquals(parameters + 2 * 15, backend.memory().live(Owner.PARAMETERS));
      assertTrue(layer.summary().contains(String.valueOf(4 * 18 + 2 * 15)), layer::summary);
      layer.computeIn(Precision.F32);
      assertEquals(before, backend.memory().stats().live());
      layer.computeIn(Precision.BF16);
    }
    assertEquals(0, backend.memory().stats().live());
  }

  @Test
  void f16_isLikewiseAndTakesTheCopiesPlace() {
    try (var layer = linear(1);
        var _ = Scope.open()) {
      layer.computeIn(Precision.BF16);
      layer.computeIn(Precision.F16);
      Tensor weight = layer.weight();
      assertEquals(DType.F16, weight.working().dtype());
      float[] copy = weight.working().toFloatArray();
      float[] master = weight.toFloatArray();
      for (int i = 0; i < copy.length; i++) {
        assertEquals(Float.float16ToFloat(Float.floatToFloat16(master[i])), copy[i]);
      }
      Tensor y = layer.forward(input());
      assertEquals(DType.F16, y.dtype());
      y.to(DType.F32).square().sum().backward();
      assertEquals(DType.F32, Objects.requireNonNull(weight.grad()).dtype());
    }
  }

  @Test
  void copies_followTheOptimisers() {
    for (boolean adam : new boolean[] {true, false}) {
      try (var layer = linear(1);
          Optimizer optimizer = optimizer(adam, layer)) {
        layer.computeIn(Precision.BF16);
        for (int step = 0; step < 3; step++) {
          try (var _ = Scope.open()) {
            float[] before = rounded(layer.weight());
            layer.forward(input()).to(DType.F32).square().sum().backward();
            optimizer.step();
            optimizer.zeroGrad();
            assertFollows(layer.weight());
            assertFalse(java.util.Arrays.equals(before, rounded(layer.weight())));
          }
        }
      }
    }
  }

  private static Optimizer optimizer(boolean adam, Module module) {
    var groups = ParameterGroup.of(module.parameters(), 0.01);
    return adam
        ? new AdamW(groups, Schedule.constant(0.1))
        : new Sgd(groups, Schedule.constant(0.1));
  }

  @Test
  void copies_areRefreshedBeforeAStepThatChangesNothing() {
    try (var layer = linear(1);
        var optimizer = optimizer(true, layer)) {
      layer.computeIn(Precision.BF16);
      try (var _ = Scope.open();
          var _ = GradMode.noGrad()) {
        var _ = layer.weight().fillInPlace(0.3);
      }
      try (var _ = Scope.open()) {
        input().linear(layer.weight(), null).sum().backward();
        Tensor notFinite = Tensors.on(backend).full(Double.NaN, DType.F32, Shape.scalar());
        optimizer.step(notFinite.array());
        optimizer.zeroGrad();
        assertFollows(layer.weight());
      }
    }
  }

  @Test
  void copies_followFilesAndChangesInPlace() throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (var layer = linear(1);
        var other = linear(2)) {
      other.computeIn(Precision.BF16);
      other.save(file);
      layer.computeIn(Precision.BF16);
      float[] before = rounded(layer.weight());
      var _ = layer.load(file);
      assertFollows(layer.weight());
      assertFalse(java.util.Arrays.equals(before, rounded(layer.weight())));
      assertArrayEquals(other.weight().toFloatArray(), layer.weight().toFloatArray());
      try (var _ = GradMode.noGrad()) {
        var _ = layer.weight().mulInPlace(1.7);
      }
      assertFollows(layer.weight());
    }
  }

  @Test
  void gradients_throughViewsOfACopyAddUpInF32() {
    try (var table = new Embedding(Weights.on(backend, 4), 7, 5);
        var _ = Scope.open()) {
      table.computeIn(Precision.BF16);
      Tensor tokens = Tensors.on(backend).of(new int[] {1, 1, 1, 4}, Shape.of(4));
      Tensor rows = table.forward(tokens); // [4, 5]
      Tensor logits = rows.linear(table.weight().working().transpose(), null); // [4, 7]
      logits.crossEntropy(tokens).backward();
      Tensor gradient = Objects.requireNonNull(table.weight().grad());
      assertEquals(DType.F32, gradient.dtype());
      assertFalse(java.util.Arrays.equals(rounded(gradient), gradient.toFloatArray()));
    }
  }

  @Test
  void workingCopy_needsAnF32Leaf() {
    try (var _ = Scope.open()) {
      Tensor low = input().to(DType.BF16);
      var type = assertThrows(DTypeException.class, () -> low.keepWorkingCopy(DType.BF16));
      assertEquals(
          "keepWorkingCopy: a master of another type; got BF16 [4, 5]; need F32",
          type.getMessage());
      var wide = assertThrows(DTypeException.class, () -> input().keepWorkingCopy(DType.F32));
      assertEquals("keepWorkingCopy: not 16 bits; got F32; need BF16 or F16", wide.getMessage());
      Tensor result = input().requiresGrad(true).add(1);
      var leaf =
          assertThrows(IllegalStateException.class, () -> result.keepWorkingCopy(DType.BF16));
      assertEquals(
          "keepWorkingCopy: not a leaf; got the result of add; need a parameter",
          leaf.getMessage());
    }
  }
}
