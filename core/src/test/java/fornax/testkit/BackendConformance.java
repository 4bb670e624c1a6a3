package fornax.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.AdamWSlot;
import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.Backends;
import fornax.backend.Decomposed;
import fornax.backend.DeviceException;
import fornax.backend.DeviceInfo;
import fornax.backend.NdArray;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.backend.Settings;
import fornax.backend.SgdSlot;
import fornax.backend.Workspace;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.Golden;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import fornax.optim.AdamW;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.NonFiniteException;
import fornax.tensor.Numerics;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;

/// What every backend must pass. A backend's test names its device:
///
/// ```java
/// class CpuConformanceTest extends BackendConformance {
///   @Override
///   protected String device() {
///     return "cpu";
///   }
/// }
/// ```
///
/// Where the device is absent all is skipped with the reason, or fails if `-Dfornax.require=NAMES`
/// (separated by commas) names it.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class BackendConformance {
  private final Backend reference = new ReferenceBackend();
  private Backend backend = reference;

  /// For subclasses.
  protected BackendConformance() {}

  /// The device, as [Backends#open(String)] takes it.
  protected abstract String device();

  /// What `-Dfornax.require` calls the device: its id if this is not overridden.
  protected String requirement() {
    return device();
  }

  @BeforeAll
  void open() {
    String missing = missing(device());
    if (!missing.isEmpty()) {
      if (required(requirement())) {
        fail(device() + " is required by -Dfornax.require but absent: " + missing);
      }
      abort(device() + " is absent: " + missing);
    }
    backend = Backends.open(device()).backend();
  }

  @AfterAll
  void close() {
    backend.close();
    reference.close();
  }

  private static String missing(String device) {
    for (BackendProvider provider : Backends.providers()) {
      for (DeviceInfo info : provider.devices()) {
        if (info.id().equals(device) || provider.name().equals(device)) {
          return info.available() ? "" : info.reason() + "; " + info.fix();
        }
      }
    }
    return "no backend on the class path has a device of this name";
  }

  private static boolean required(String name) {
    return Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains(name);
  }

  @Test
  void guardWords_areOn() {
    assertTrue(Settings.guardMemory(), "run these tests with -Dfornax.memory.guard=true");
    assertEquals(Settings.LeakLevel.PARANOID, Settings.leakLevel());
  }

  // ---- the table

  /// Every operation, forward and gradients, as the backend does it and taken apart into the
  /// backend's primitives.
  @TestFactory
  Stream<DynamicTest> operations_agreeWithTheReference() {
    return operations(
        (variant, type) -> {
          Backend decomposed = new Decomposed(backend);
          for (CaseResult result : SelfTest.check(variant, type, reference, backend, decomposed)) {
            assertTrue(result.passed(), result::toString);
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> operations_giveTheSameBitsEveryTime() {
    return operations(
        (variant, type) -> assertTrue(SelfTest.repeats(variant, type, backend), variant::toString));
  }

  private interface Check {
    void run(OpCase.Variant variant, DType type);
  }

  private Stream<DynamicTest> operations(Check check) {
    return OpCases.all().stream()
        .flatMap(
            operation ->
                operation.types().stream()
                    .flatMap(
                        type ->
                            operation.variants(type).stream()
                                .map(
                                    variant ->
                                        dynamicTest(
                                            variant + " " + type,
                                            () ->
                                                leavingNothing(() -> check.run(variant, type))))));
  }

  private void leavingNothing(Runnable test) {
    long before = backend.memory().stats().live();
    test.run();
    backend.synchronize();
    assertEquals(
        before,
        backend.memory().stats().live(),
        () -> "left behind: " + String.join("\n", backend.memory().leaks()));
  }

  // ---- PyTorch's numbers

  @TestFactory
  Stream<DynamicTest> golden_operatorsAgreeWithPyTorch() throws IOException {
    return tests(Golden.builtIn().operators(backend));
  }

  @TestFactory
  Stream<DynamicTest> golden_modelAgreesWithPyTorch() throws IOException {
    return tests(Golden.builtIn().model(backend));
  }

  private static Stream<DynamicTest> tests(List<CaseResult> results) {
    return results.stream()
        .map(
            result ->
                dynamicTest(
                    result.op(),
                    () -> {
                      if (result.status() == CaseResult.Status.SKIPPED) {
                        abort(result.note());
                      }
                      assertTrue(result.passed(), result::toString);
                    }));
  }

  // ---- what optimisers refuse, and precisions

  /// Kernels read and write the arrays of a slot as F32 without asking.
  @Test
  void optimizers_refuseParametersThatAreNotF32() {
    leavingNothing(
        () -> {
          try (var work = new Workspace(backend.memory())) {
            Shape shape = Shape.of(33);
            NdArray full = work.allocate(DType.F32, shape);
            NdArray half = work.allocate(DType.BF16, shape);
            NdArray longer = work.allocate(DType.F32, Shape.of(34));
            refuses(() -> new AdamWSlot(half, half, half, half));
            refuses(() -> new AdamWSlot(half, full, full, full));
            refuses(() -> new AdamWSlot(full, half, full, full));
            refuses(() -> new AdamWSlot(full, full, full, full, full));
            refuses(() -> new SgdSlot(half, full, full));
            assertThrows(ShapeException.class, () -> new AdamWSlot(full, longer, full, full));
            assertThrows(
                ShapeException.class,
                () -> new SgdSlot(full, full, longer.slice(0, 0, 33).reshape(Shape.of(1, 33))));
            Tensor parameter = Tensors.on(backend).zeros(DType.BF16, shape).requiresGrad(true);
            assertThrows(
                IllegalArgumentException.class,
                () ->
                    new AdamW(
                        ParameterGroup.of(Map.of("w", parameter), 0), Schedule.constant(1e-3)));
            parameter.close();
          }
        });
  }

  private static void refuses(Supplier<Record> slot) {
    DTypeException e = assertThrows(DTypeException.class, slot::get);
    assertTrue(String.valueOf(e.getMessage()).contains("BF16"), e::toString);
  }

  /// Every F16 number to F32; and back what lies at, below and above the middle between one and the
  /// next, which has all ties, subnormals and overflows; contiguous and not.
  @Test
  void f16_isConvertedExactly() {
    leavingNothing(
        () -> {
          short[] halves = new short[1 << 16];
          float[] floats = new float[4 << 16];
          for (int i = 0; i < halves.length; i++) {
            halves[i] = (short) i;
            float value = Float.float16ToFloat((short) i);
            float next = Float.float16ToFloat((short) (i + 1));
            float middle = Float.isInfinite(next) ? Math.copySign(65520, next) : (value + next) / 2;
            floats[4 * i] = value;
            floats[4 * i + 1] = middle;
            floats[4 * i + 2] = Math.nextUp(middle);
            floats[4 * i + 3] = Math.nextDown(middle);
          }
          short[] rounded = new short[floats.length];
          for (int i = 0; i < floats.length; i++) {
            rounded[i] = Float.floatToFloat16(floats[i]);
          }
          for (boolean sliced : new boolean[] {false, true}) {
            convertsExactly(MemorySegment.ofArray(halves), DType.F16, sliced, wide(halves));
            convertsExactly(MemorySegment.ofArray(floats), DType.F32, sliced, wide(rounded));
          }
        });
  }

  private static float[] wide(short[] halves) {
    float[] values = new float[halves.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = Float.float16ToFloat(halves[i]);
    }
    return values;
  }

  // The numbers of F16 among floats are floats of the same bits.
  private void convertsExactly(MemorySegment from, DType type, boolean sliced, float[] wanted) {
    try (var work = new Workspace(backend.memory())) {
      long rows = 256;
      Shape shape = Shape.of(rows, wanted.length / rows);
      NdArray x = work.allocate(type, shape);
      backend.upload(from, x);
      DType other = type == DType.F16 ? DType.F32 : DType.F16;
      NdArray y = work.allocate(other, sliced ? shape.with(1, shape.dim(1) + 1) : shape);
      NdArray part = y.slice(1, 0, shape.dim(1));
      backend.copy(x, part);
      NdArray back = work.allocate(other, shape);
      backend.copy(part, back);
      MemorySegment bits = backend.readback(back).await();
      for (int i = 0; i < wanted.length; i++) {
        float got =
            other == DType.F32
                ? bits.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                : Float.float16ToFloat(bits.getAtIndex(ValueLayout.JAVA_SHORT, i));
        if (Float.floatToIntBits(got) != Float.floatToIntBits(wanted[i])) {
          assertEquals(wanted[i], got, type + " number " + i);
        }
      }
    }
  }

  /// TF32 is there or refused: never silently F32.
  @Test
  void tf32_isThereOrRefused() {
    try (var _ = Scope.open()) {
      Tensor x = Tensors.on(backend).of(new float[] {1 + 0x1p-20f}, Shape.of(1, 1));
      try {
        backend.multiplyInTf32(true);
        assertEquals(1, x.matmul(x).item(), 0);
      } catch (DeviceException e) {
        assertTrue(
            String.valueOf(e.getMessage()).startsWith("precision: no TF32; got "), e::toString);
      } finally {
        backend.multiplyInTf32(false);
      }
      assertEquals(1 + 0x1p-19f, x.matmul(x).item(), 0x1p-23f);
    }
  }

  // ---- randomness and wrong indices

  @Test
  void random_givesTheSameWordsEverywhere() {
    for (long size : new long[] {0, 1, 7, 129, 1025}) {
      assertArrayEquals(words(reference, size), words(backend, size));
    }
  }

  private static double[] words(Backend device, long size) {
    try (var work = new Workspace(device.memory())) {
      NdArray state =
          HostArrays.of(device, work, DType.I32, Shape.of(4), 0x12345678, -2, 1 << 30, 5);
      NdArray y = work.allocate(DType.I32, Shape.of(size));
      device.random(state, 77, y);
      return HostArrays.values(device, y);
    }
  }

  @Test
  void wrongIndices_areNamed() {
    int[] targets = new int[65];
    targets[64] = 5;
    int[] row = {65, 0, 0, 0, 0};
    rejects("77", on -> table(on).embedding(on.of(new int[] {3, 77}, Shape.of(2))));
    rejects("-1", on -> table(on).embedding(on.of(new int[] {-1, 3}, Shape.of(2))));
    rejects("5", on -> table(on).indexSelect(1, on.of(new int[] {0, 5}, Shape.of(2))));
    rejects("5", on -> table(on).crossEntropy(on.of(targets, Shape.of(65))));
    Shape one = Shape.of(1, 5);
    rejects("65", on -> table(on).scatterAdd(0, on.of(row, one), on.ones(DType.F32, one)));
  }

  private static Tensor table(Tensors on) {
    return on.zeros(DType.F32, Shape.of(65, 5));
  }

  // ---- arguments at the edge and beyond

  /// See [EdgeFuzz].
  @Test
  void anyArgument_givesAResultOrATypedError() throws IOException, InterruptedException {
    edges(0, 300);
  }

  @Test
  @Tag("slow")
  void anyArgument_givesAResultOrATypedError_manyTimes() throws IOException, InterruptedException {
    edges(1_000_000, 20_000);
  }

  private void edges(long firstSeed, long cases) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String option : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (option.startsWith("-X") || option.startsWith("--")) {
        command.add(option);
      }
    }
    for (String name : System.getProperties().stringPropertyNames()) {
      if (name.startsWith("fornax.")) {
        command.add("-D" + name + "=" + System.getProperty(name));
      }
    }
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), EdgeFuzz.class.getName()));
    command.addAll(List.of(device(), Long.toString(firstSeed), Long.toString(cases)));
    command.addAll(preparation());
    Path log = Files.createTempFile("edges", ".log");
    try {
      Process process = new ProcessBuilder(command).redirectError(log.toFile()).start();
      process.getOutputStream().close();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int code = process.waitFor();
      List<String> lines = Files.readAllLines(log, StandardCharsets.ISO_8859_1);
      String last = String.join("\n", lines.subList(Math.max(0, lines.size() - 5), lines.size()));
      assertEquals(0, code, () -> said + "\nthe last that it began:\n" + last);
    } finally {
      Files.deleteIfExists(log);
    }
  }

  /// The class whose static method `load()` makes the device available in a new process; empty if
  /// it is.
  protected List<String> preparation() {
    return List.of();
  }

  // ---- out of memory

  /// Every allocation of every operation, forward and backward, fails once: the error is typed and
  /// nothing is left behind.
  @TestFactory
  @Tag("slow")
  Stream<DynamicTest> operations_surviveEveryFailedAllocation() {
    return OpCases.all().stream()
        .map(
            operation ->
                dynamicTest(
                    operation.name(), () -> failEach(operation.variants().getFirst(), DType.F32)));
  }

  private void failEach(OpCase.Variant variant, DType type) {
    boolean refusing = false;
    for (int n = 1; !refusing; n++) {
      int failing = n;
      leavingNothing(
          () -> {
            backend.memory().refuse(failing);
            try {
              boolean _ = SelfTest.repeats(variant, type, backend);
              assertTrue(backend.memory().isRefusing(), () -> variant + ": swallowed " + failing);
            } catch (OutOfDeviceMemoryException _) {
              // as it should
            }
          });
      refusing = backend.memory().isRefusing();
    }
    backend.memory().refuse(0);
  }

  /// The same for a step of training: what it had is given back, and the next step is what it would
  /// have been.
  @Test
  void trainingStep_survivesEveryFailedAllocation() {
    // The reference backend's AdamW needs memory for each group of parameters.
    float tolerance = device().equals("reference") ? 1 : 0;
    float first;
    float second;
    try (var undisturbed = new TrainingStep(backend)) {
      first = undisturbed.step();
      second = undisturbed.step();
    }
    int failures = 0;
    try (var training = new TrainingStep(backend)) {
      assertEquals(first, training.step());
      backend.synchronize();
      long live = backend.memory().stats().live();
      for (boolean passed = false; !passed; ) {
        backend.memory().refuse(failures + 1);
        try {
          assertEquals(second, training.step(), tolerance, failures + " failures");
          passed = true;
        } catch (OutOfDeviceMemoryException _) {
          failures++;
          backend.synchronize();
          assertEquals(
              live,
              backend.memory().stats().live(),
              () -> "left behind: " + String.join("\n", backend.memory().leaks()));
        }
        assertTrue(failures < 1000, "a step never passes");
      }
    } finally {
      backend.memory().refuse(0);
    }
    assertTrue(failures > 20, "only " + failures + " allocations failed");
  }

  // ---- numerics

  @Test
  void numerics_nameTheFirstFault() {
    float[] flipped = {0.5f, Float.intBitsToFloat(Float.floatToRawIntBits(0.02f) ^ 1 << 30)};
    finds("layerNorm", false, on -> row(on, 3, 3, 3, 3).layerNorm(1, 0));
    finds("log", false, on -> row(on, 1, 0, 2).log());
    finds("to", false, on -> row(on, 1, Float.MAX_VALUE).to(DType.BF16));
    finds(
        "matmul",
        false,
        on -> {
          Tensor x = row(on, 1e38f, 1e38f, 1e38f, 1e38f).to(DType.BF16).reshape(2, 2);
          return x.matmul(x);
        });
    finds("sqrt", true, on -> backward(row(on, 4, 0).requiresGrad(true).sqrt().sum()));
    finds(
        "multiply",
        false,
        on -> {
          Tensor w = on.of(flipped, Shape.of(2)).requiresGrad(true);
          try (var _ = Numerics.check(Map.of("mlp.up.weight", w), (_, _) -> "")) {
            return row(on, 1, 1).relu().mul(w);
          }
        });
  }

  private static Tensor row(Tensors on, float... values) {
    return on.of(values, Shape.of(values.length));
  }

  private static Tensor backward(Tensor y) {
    y.backward();
    return y;
  }

  private void finds(String op, boolean backward, Function<Tensors, Tensor> computation) {
    leavingNothing(
        () -> {
          try (var _ = Scope.open();
              var _ = Numerics.check()) {
            NonFiniteException found =
                assertThrows(
                    NonFiniteException.class, () -> computation.apply(Tensors.on(backend)));
            assertEquals(op, found.op());
            assertEquals(backward, found.isBackward());
          }
        });
  }

  private void rejects(String index, Function<Tensors, Tensor> operation) {
    leavingNothing(
        () -> {
          IndexOutOfBoundsException thrown =
              assertThrows(
                  IndexOutOfBoundsException.class,
                  () -> {
                    try (var _ = Scope.open()) {
                      Tensor _ = operation.apply(Tensors.on(backend));
                      backend.synchronize();
                    }
                  });
          String message = String.valueOf(thrown.getMessage());
          assertTrue(message.contains("got " + index + " "), message);
        });
  }
}
