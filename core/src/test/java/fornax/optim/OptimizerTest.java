package fornax.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.NdArray;
import fornax.backend.Owner;
import fornax.backend.reference.ReferenceBackend;
import fornax.io.SafeTensors;
import fornax.nn.TensorFile;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.testkit.GoldenFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OptimizerTest {
  private final ReferenceBackend backend = new ReferenceBackend();
  private Scope scope;

  @TempDir private Path folder;

  @BeforeEach
  @SuppressWarnings("MustBeClosed") // by nothingIsLeft
  void open() {
    scope = Scope.open();
  }

  @AfterEach
  void nothingIsLeft() {
    scope.close();
    assertEquals(List.of(), backend.memory().leaks());
    backend.close();
  }

  private Tensor tensor(float... values) {
    return Tensors.on(backend).of(values, Shape.of(values.length));
  }

  private Tensor parameter(float... values) {
    return tensor(values).requiresGrad(true);
  }

  private static SequencedMap<String, Tensor> named(Tensor... parameters) {
    SequencedMap<String, Tensor> named = new LinkedHashMap<>();
    for (int i = 0; i < parameters.length; i++) {
      named.put("p" + i, parameters[i]);
    }
    return named;
  }

  /// Makes `gradient` the gradient of `parameter`.
  private static void give(Tensor parameter, Tensor gradient) {
    parameter.zeroGrad();
    parameter.mul(gradient).sum().backward();
  }

  private static void assertClose(double[] truth, double[] actual, double tolerance) {
    double most = 1;
    for (double value : truth) {
      most = Math.max(most, Math.abs(value));
    }
    assertArrayEquals(truth, actual, tolerance * most);
  }

  // ---- AdamW

  @Test
  void adamW_takesPyTorchsSteps() throws IOException {
    try (var golden = GoldenFiles.open("ops_golden.safetensors")) {
      Tensor p = parameter(golden.floats("adamw.in.p"));
      float[] gradients = golden.floats("adamw.in.g");
      double[] truth = golden.doubles("adamw.out");
      var options = AdamW.Options.DEFAULT.withBetas(0.9, 0.95);
      int n = (int) p.elements();
      int rows = gradients.length / n;
      assertEquals(5, rows);
      try (var optimizer =
          new AdamW(ParameterGroup.of(named(p), 0.1), Schedule.constant(1e-2), options)) {
        for (int i = 0; i < rows; i++) {
          give(p, tensor(Arrays.copyOfRange(gradients, i * n, (i + 1) * n)));
          optimizer.step();
          assertClose(Arrays.copyOfRange(truth, i * n, (i + 1) * n), p.toDoubleArray(), 1e-6);
        }
        assertEquals(rows, optimizer.steps());
        assertState(golden, "adamw.m", optimizer, "firstMoment.p0");
        assertState(golden, "adamw.v", optimizer, "secondMoment.p0");
      }
    }
  }

  private static void assertState(
      SafeTensors golden, String name, Optimizer optimizer, String state) throws IOException {
    Tensor tensor = Objects.requireNonNull(optimizer.state().get(state), state);
    assertClose(golden.doubles(name), tensor.toDoubleArray(), 1e-6);
  }

  @Test
  void adamW_findsRosenbrocksMinimum() {
    Tensor xy = parameter(-1.2f, 1);
    try (var optimizer =
        new AdamW(ParameterGroup.of(named(xy), 0), Schedule.cosine(0.1, 0, 10, 4000))) {
      descend(optimizer, 4000, () -> rosenbrock(xy));
    }
    assertClose(new double[] {1, 1}, xy.toDoubleArray(), 0.01);
  }

  private static Tensor rosenbrock(Tensor xy) {
    Tensor x = xy.select(0, 0);
    Tensor y = xy.select(0, 1);
    return x.sub(1).square().add(y.sub(x.square()).square().mul(100));
  }

  private void descend(Optimizer optimizer, int steps, Supplier<Tensor> loss) {
    for (int i = 0; i < steps; i++) {
      try (var _ = Scope.open()) {
        loss.get().backward();
        optimizer.step();
        optimizer.zeroGrad();
      }
    }
  }

  @Test
  void adamW_rejectsWhatMakesNoSense() {
    assertThrows(IllegalArgumentException.class, () -> new AdamW.Options(1, 0.9, 1e-8));
    assertThrows(IllegalArgumentException.class, () -> new AdamW.Options(0.9, -0.1, 1e-8));
    assertThrows(IllegalArgumentException.class, () -> new AdamW.Options(0.9, 0.9, Double.NaN));
    assertThrows(
        IllegalArgumentException.class, () -> new ParameterGroup(named(parameter(1)), -0.1));
    Schedule schedule = Schedule.constant(1);
    assertThrows(IllegalArgumentException.class, () -> new AdamW(List.of(), schedule));
    Map<String, Tensor> twice = named(parameter(1));
    var groups = List.of(new ParameterGroup(twice, 0), new ParameterGroup(twice, 0.1));
    var e = assertThrows(IllegalArgumentException.class, () -> new AdamW(groups, schedule));
    assertEquals("optimizer: parameter in two groups; got p0 twice", e.getMessage());
    var indices = named(Tensors.on(backend).zeros(DType.I32, Shape.of(2)));
    assertThrows(
        IllegalArgumentException.class, () -> new AdamW(ParameterGroup.of(indices, 0), schedule));
  }

  // ---- SGD

  @Test
  void sgd_followsItsFormula() {
    for (double momentum : new double[] {0, 0.9}) {
      for (boolean nesterov : new boolean[] {false, true}) {
        if (!nesterov || momentum > 0) {
          followsFormula(momentum, nesterov);
        }
      }
    }
  }

  private void followsFormula(double momentum, boolean nesterov) {
    Tensor p = parameter(1, -2, 3);
    double[] expected = {1, -2, 3};
    double[] velocity = new double[3];
    float[][] gradients = {{0.5f, -1, 2}, {-0.25f, 3, 0}, {1, 1, -1}};
    try (var optimizer =
        new Sgd(ParameterGroup.of(named(p), 0.01), Schedule.constant(0.1), momentum, nesterov)) {
      for (float[] gradient : gradients) {
        give(p, tensor(gradient));
        optimizer.step();
        for (int i = 0; i < 3; i++) {
          double g = gradient[i] + 0.01 * expected[i];
          velocity[i] = momentum * velocity[i] + g;
          expected[i] -= 0.1 * (nesterov ? g + momentum * velocity[i] : velocity[i]);
        }
        assertArrayEquals(expected, p.toDoubleArray(), 1e-6, momentum + " " + nesterov);
      }
    }
  }

  @Test
  void sgd_findsAQuadraticsMinimum() {
    Tensor p = parameter(5, -3);
    Tensor target = tensor(1, 2);
    Tensor curvature = tensor(1, 10);
    try (var optimizer =
        new Sgd(ParameterGroup.of(named(p), 0), Schedule.constant(0.02), 0.9, true)) {
      descend(optimizer, 300, () -> p.sub(target).square().mul(curvature).sum());
    }
    assertArrayEquals(new double[] {1, 2}, p.toDoubleArray(), 1e-4);
  }

  @Test
  void sgd_rejectsNesterovWithoutMomentum() {
    var groups = ParameterGroup.of(named(parameter(1)), 0);
    Schedule schedule = Schedule.constant(1);
    assertThrows(IllegalArgumentException.class, () -> new Sgd(groups, schedule, 0, true));
    assertThrows(IllegalArgumentException.class, () -> new Sgd(groups, schedule, 1, false));
  }

  // ---- groups, gradients, state

  @Test
  void decayMatrices_decaysRankTwoAndAbove() {
    Tensor matrix = Tensors.on(backend).ones(DType.F32, Shape.of(2, 2)).requiresGrad(true);
    Tensor bias = parameter(1, 1);
    var groups = ParameterGroup.decayMatrices(named(matrix, bias), 0.5);
    assertEquals(List.of(0.5, 0.0), groups.stream().map(ParameterGroup::weightDecay).toList());
    try (var optimizer = new AdamW(groups, Schedule.constant(0.1))) {
      matrix.sum().add(bias.sum()).mul(0).backward();
      optimizer.step();
      assertArrayEquals(new double[] {1, 1}, bias.toDoubleArray());
      assertArrayEquals(new double[] {0.95, 0.95, 0.95, 0.95}, matrix.toDoubleArray(), 1e-7);
    }
    assertEquals(1, ParameterGroup.decayMatrices(named(bias), 0.5).size());
  }

  @Test
  void gradients_addUpUntilCleared() {
    Tensor whole = parameter(1, 2);
    Tensor parts = parameter(1, 2);
    Tensor a = tensor(3, -1);
    Tensor b = tensor(0.5f, 2);
    var schedule = Schedule.constant(0.1);
    try (var first = new Sgd(ParameterGroup.of(named(whole), 0), schedule);
        var second = new Sgd(ParameterGroup.of(named(parts), 0), schedule)) {
      for (int step = 0; step < 3; step++) {
        whole.mul(a).add(whole.mul(b)).sum().mul(0.5).backward();
        first.step();
        first.zeroGrad();
        parts.mul(a).sum().mul(0.5).backward();
        parts.mul(b).sum().mul(0.5).backward();
        second.step();
        second.zeroGrad();
      }
      assertArrayEquals(whole.toDoubleArray(), parts.toDoubleArray(), 1e-6);
      assertArrayEquals(new double[] {1 - 0.3 * 1.75, 2 - 0.3 * 0.5}, whole.toDoubleArray(), 1e-6);
    }
  }

  @Test
  void step_leavesParametersWithoutGradientAlone() {
    Tensor used = parameter(1);
    Tensor unused = parameter(1);
    try (var optimizer =
        new AdamW(ParameterGroup.of(named(used, unused), 0.5), Schedule.constant(0.1))) {
      used.sum().backward();
      optimizer.step();
    }
    assertArrayEquals(new double[] {1}, unused.toDoubleArray());
    assertTrue(used.item() < 1);
  }

  @Test
  void step_changesWhatBackwardWouldRead_isAnError() {
    Tensor p = parameter(1, 2);
    Tensor y = p.square().sum();
    give(p, tensor(1, 1));
    try (var optimizer = new Sgd(ParameterGroup.of(named(p), 0), Schedule.constant(0.1))) {
      optimizer.step();
    }
    assertThrows(IllegalStateException.class, y::backward);
  }

  @Test
  void resume_goesOnBitForBit() throws IOException {
    Path file = folder.resolve("state.safetensors");
    Tensor through = parameter(1, -2, 3);
    var schedule = Schedule.cosine(0.1, 0.01, 2, 8);
    float[] middle;
    try (var optimizer = new AdamW(ParameterGroup.of(named(through), 0.1), schedule)) {
      descend(optimizer, 3, () -> through.square().sum());
      TensorFile.save(file, optimizer.state(), Map.of());
      middle = through.toFloatArray();
      descend(optimizer, 3, () -> through.square().sum());
    }
    Tensor resumed = parameter(middle);
    try (var optimizer = new AdamW(ParameterGroup.of(named(resumed), 0.1), schedule)) {
      assertEquals(Map.of(), TensorFile.load(file, optimizer.state()));
      optimizer.resume(3);
      assertEquals(schedule.rate(3), optimizer.rate());
      descend(optimizer, 3, () -> resumed.square().sum());
    }
    assertArrayEquals(through.toFloatArray(), resumed.toFloatArray());
  }

  @Test
  void steps_askNoMemoryOfTheSystemAfterTheFirst() {
    Tensor p = Tensors.on(backend).ones(DType.F32, Shape.of(100, 10)).requiresGrad(true);
    try (var clip = GradientClip.byGlobalNorm(backend, 1);
        var optimizer = new AdamW(ParameterGroup.of(named(p), 0.1), Schedule.constant(0.1))) {
      List<Long> requests = new ArrayList<>();
      List<Long> live = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        try (var _ = Scope.open()) {
          p.square().sum().backward();
          optimizer.step(clip.scale(optimizer.parameters()));
          optimizer.zeroGrad();
        }
        requests.add(backend.memory().stats().systemRequests());
        live.add(backend.memory().stats().live());
      }
      assertEquals(requests.get(1), requests.get(9));
      assertEquals(live.get(0), live.get(9));
      assertEquals(
          2 * 4000 + 4 * (7 + 1 + 2),
          backend.memory().live(Owner.OPTIMIZER),
          "moments and scalars");
    }
    assertEquals(0, backend.memory().live(Owner.OPTIMIZER));
  }

  // ---- clipping

  @Test
  void clip_scalesAsPyTorchDoes() throws IOException {
    try (var golden = GoldenFiles.open("ops_golden.safetensors");
        var clip = GradientClip.byGlobalNorm(backend, 1)) {
      List<Tensor> parameters = new ArrayList<>();
      for (String name : List.of("a", "b")) {
        Tensor gradient = tensor(golden.floats("clip_grad_norm.in." + name));
        Tensor p = Tensors.on(backend).zeros(DType.F32, gradient.shape()).requiresGrad(true);
        give(p, gradient);
        parameters.add(p);
      }
      NdArray scale = clip.scale(parameters);
      DoubleSupplier norm = clip.readNorm();
      assertClose(golden.doubles("clip_grad_norm.norm"), new double[] {norm.getAsDouble()}, 1e-6);
      Map<String, Tensor> named = named(parameters.toArray(Tensor[]::new));
      try (var optimizer = new Sgd(ParameterGroup.of(named, 0), Schedule.constant(1))) {
        optimizer.step(scale);
      }
      for (int i = 0; i < 2; i++) { // from 0, at rate 1: minus the clipped gradient
        double[] clipped =
            Arrays.stream(parameters.get(i).toDoubleArray()).map(value -> -value).toArray();
        assertClose(golden.doubles("clip_grad_norm.out." + "ab".charAt(i)), clipped, 1e-6);
      }
    }
  }

  @Test
  void clip_leavesSmallGradientsAlone() {
    Tensor p = parameter(0, 0);
    give(p, tensor(0.3f, -0.4f));
    try (var clip = GradientClip.byGlobalNorm(backend, 1);
        var optimizer = new Sgd(ParameterGroup.of(named(p), 0), Schedule.constant(1))) {
      optimizer.step(clip.scale(List.of(p, parameter(7)))); // one has no gradient
      assertEquals(0.5, clip.readNorm().getAsDouble(), 1e-7);
    }
    assertArrayEquals(new float[] {-0.3f, 0.4f}, p.toFloatArray());
  }

  @Test
  void step_isSkippedWhereAGradientIsNotFinite() {
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      for (double maxNorm : new double[] {1, Double.POSITIVE_INFINITY}) {
        skips(bad, maxNorm);
      }
    }
  }

  private void skips(float bad, double maxNorm) {
    Tensor p = parameter(1, 2);
    Tensor q = parameter(3);
    try (var clip = GradientClip.byGlobalNorm(backend, maxNorm);
        var optimizer = new AdamW(ParameterGroup.of(named(p, q), 0.1), Schedule.constant(0.1))) {
      give(p, tensor(1, bad));
      give(q, tensor(1));
      optimizer.step(clip.scale(optimizer.parameters()));
      assertArrayEquals(new float[] {1, 2}, p.toFloatArray());
      assertArrayEquals(new float[] {3}, q.toFloatArray());
      optimizer.state().forEach((name, s) -> assertEquals(0, s.abs().sum().item(), name));
      give(p, tensor(1, 1));
      give(q, tensor(1));
      optimizer.step(clip.scale(optimizer.parameters()));
      assertTrue(p.toFloatArray()[0] < 1, "the next step counts");
    }
  }

  @Test
  void clip_rejectsANormThatIsNotPositive() {
    assertThrows(IllegalArgumentException.class, () -> GradientClip.byGlobalNorm(backend, 0));
    assertThrows(
        IllegalArgumentException.class, () -> GradientClip.byGlobalNorm(backend, Double.NaN));
  }
}
