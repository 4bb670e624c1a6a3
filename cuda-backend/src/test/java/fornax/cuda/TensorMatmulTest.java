package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.backend.reference.ReferenceBackend;
import fornax.cuda.KernelMutantsTest.Edit;
import fornax.cuda.TensorMatmul.Factors;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/// `matmulmma.cu`, `matmulmmaf16.cu` and `matmultf32.cu`: every tile and form, with edges, against
/// sums in F64; and copies of it that are wrong are caught.
class TensorMatmulTest {
  private static final String RACE = "race on byte";
  private static final String WRONG = "wrong numbers";

  @TempDir static @Nullable Path folder;

  @AfterEach
  void reset() {
    if (!TestDevice.isCard()) {
      SoftwareDevice.reset();
    }
  }

  @Test
  void everyTileAndForm_agreesWithSumsInF64() {
    TestDevice.load();
    if (!TestDevice.isCard()) {
      SoftwareDevice.set("ORDER", "random");
      SoftwareDevice.set("PREEMPT", "100");
      SoftwareDevice.set("RACES", "1");
    }
    try (CudaBackend backend = TestDevice.open()) {
      var products = new TensorMatmul(backend.device(), new Elementwise(backend.device()));
      for (Factors factors : Factors.ALL) {
        for (TensorMatmul.Tile tile : TensorMatmul.TILES) {
          for (int form = 0; form < 4; form++) {
            // Rows of 16 bytes and not; one step of k, several, and less than one.
            check(backend, products, factors, tile, 136, 72, 104, form);
            check(backend, products, factors, tile, 131, 67, 7, form);
          }
        }
      }
    }
  }

  /// By products of half the depth, and without cp.async.
  @Test
  void f16_isMultipliedOnTuring() {
    TestDevice.load();
    assumeFalse(TestDevice.isCard(), "a card is what it is");
    SoftwareDevice.set("CAPABILITY", "7.5");
    SoftwareDevice.set("ORDER", "random");
    SoftwareDevice.set("PREEMPT", "100");
    SoftwareDevice.set("RACES", "1");
    try (CudaBackend backend = TestDevice.open()) {
      var products = new TensorMatmul(backend.device(), new Elementwise(backend.device()));
      for (int form = 0; form < 4; form++) {
        check(backend, products, Factors.F16, TensorMatmul.TILES[1], 136, 72, 104, form);
        check(backend, products, Factors.F16, TensorMatmul.TILES[2], 131, 67, 7, form);
      }
    }
  }

  // before = y + a·b + bias, y = relu(before), where a and b lie by columns if `form` says so.
  private static void check(
      CudaBackend backend,
      TensorMatmul products,
      Factors factors,
      TensorMatmul.Tile tile,
      int m,
      int n,
      int k,
      int form) {
    Random random = new Random(form);
    float[] a = numbers(random, m * k);
    float[] b = numbers(random, k * n);
    float[] bias = numbers(random, n);
    float[] sum = numbers(random, m * n);
    boolean aByColumns = form % 2 == 1;
    boolean bByColumns = form / 2 == 1;
    try (var work = new Workspace(backend.memory())) {
      NdArray left = upload(backend, work, factors.type(), a, m, k, aByColumns);
      NdArray right = upload(backend, work, factors.type(), b, k, n, bByColumns);
      NdArray biases = upload(backend, work, DType.F32, bias, 1, n, false);
      DType half = factors == Factors.F16 ? DType.F16 : DType.BF16;
      DType type = form == 3 ? half : DType.F32;
      NdArray before = work.allocate(type, Shape.of(m, n));
      NdArray y = upload(backend, work, type, sum, m, n, false);
      products.multiply(factors, tile, left, right, biases, Unary.RELU, before, y, true);
      float[] gotBefore = read(backend, before);
      float[] got = read(backend, y);
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double wanted = sum[i * n + j] + (double) bias[j];
          for (int l = 0; l < k; l++) {
            wanted += (double) a[i * k + l] * b[l * n + j];
          }
          double allowed = type == DType.F32 ? 1e-5 : 0x1p-8 * Math.max(1, Math.abs(wanted));
          String at =
              tile + ", form " + form + ", " + m + "·" + k + "·" + n + " at " + i + ", " + j;
          assertEquals(wanted, gotBefore[i * n + j], allowed, at);
          assertEquals(Math.max(0, wanted), got[i * n + j], allowed, at);
        }
      }
    }
  }

  /// So a card may take whichever is fastest.
  @Test
  void everyTile_givesTheSameBits() {
    try (CudaBackend backend = TestDevice.open();
        var work = new Workspace(backend.memory())) {
      var products = new TensorMatmul(backend.device(), new Elementwise(backend.device()));
      float[] numbers = new float[70 * 300];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) StrictMath.sin(i * 12.9898);
      }
      for (Factors factors : Factors.ALL) {
        NdArray a = upload(backend, work, factors.type(), numbers, 70, 300, false);
        float[] first = null;
        for (TensorMatmul.Tile tile : TensorMatmul.TILES) {
          NdArray y = work.allocate(DType.F32, Shape.of(70, 70));
          products.multiply(factors, tile, a, a.transpose(), null, null, null, y, false);
          float[] got = read(backend, y);
          first = first == null ? got : first;
          assertArrayEquals(first, got, factors + " by " + tile);
        }
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> mutants() {
    String file = "matmulmma";
    return Stream.of(
        caught("a step of tiles before it is read", barrier(file, 0), "RACES", RACE),
        caught("the last step before the results", barrier(file, 1), "RACES", RACE),
        caught("the results before they are stored", barrier(file, 2), "RACES", RACE),
        caught(
            "a wait for cp.async", body(file, "waitForCopies<STAGES - 2>();", ""), "ORDER", WRONG),
        caught(
            "a wrong index of a fragment by columns",
            fragment(
                file,
                "loadMatrices(to, tile + (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 8)",
                "loadMatrices(to, tile + (lane % 8 + lane / 8 % 2 * 8) * pitch + lane / 16 * 8)"),
            "ORDER",
            WRONG),
        caught(
            "what is left of a row",
            fragment(file, "min(left, EACH) * (u32)sizeof(T)", "left ? 16 : 0"),
            "ORDER",
            WRONG + "|ILLEGAL_ADDRESS"));
  }

  @TestFactory
  Stream<DynamicTest> mutantsInF16() {
    String file = "matmulmmaf16";
    return Stream.of(
        caught("a step of tiles before it is read", barrier(file, 0), "RACES", RACE),
        caught(
            "the second half of the depth",
            fragment(file, "multiplyAddHalf(c, a[2], a[3], b1);", ""),
            "ORDER",
            WRONG),
        caught(
            "what is left of a row",
            fragment(
                file,
                "2 * i < count ? static_cast<const u16*>(from)[i] : 0",
                "static_cast<const u16*>(from)[i]"),
            "ORDER",
            WRONG + "|ILLEGAL_ADDRESS"));
  }

  @TestFactory
  Stream<DynamicTest> mutantsInTf32() {
    String file = "matmultf32";
    return Stream.of(
        caught("a step of tiles before it is read", barrier(file, 0), "RACES", RACE),
        caught(
            "a wait for cp.async", body(file, "waitForCopies<STAGES - 2>();", ""), "ORDER", WRONG),
        caught(
            "a wrong index of a left fragment",
            fragment(
                file,
                "tile + lane % 16 * pitch + lane / 16 * 4",
                "tile + lane / 2 * pitch + lane % 2 * 4"),
            "ORDER",
            WRONG),
        caught(
            "a wrong index of a right fragment",
            fragment(
                file,
                "(lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 4",
                "(lane % 8 + lane / 8 % 2 * 8) * pitch + lane / 16 * 4"),
            "ORDER",
            WRONG),
        caught(
            "factors cut off, not rounded",
            fragment(file, "x[i] = toTf32(__uint_as_float(x[i]));", ""),
            "ORDER",
            WRONG));
  }

  private static Edit barrier(String file, int occurrence) {
    return Edit.barrier(file, "matmulmma.cuh", occurrence);
  }

  private static Edit body(String file, String text, String replacement) {
    return new Edit(file, "matmulmma.cuh", text, 0, replacement);
  }

  private static Edit fragment(String file, String text, String replacement) {
    return new Edit(file, "tensorcore.cuh", text, 0, replacement);
  }

  private static DynamicTest caught(String name, Edit edit, String setting, String by) {
    return dynamicTest(
        name,
        () -> {
          assumeFalse(TestDevice.isCard(), "a card need not notice");
          Path at = folder;
          if (at == null) {
            throw new IllegalStateException("no folder");
          }
          DType type =
              switch (edit.kernels()) {
                case "matmultf32" -> DType.F32;
                case "matmulmmaf16" -> DType.F16;
                default -> DType.BF16;
              };
          double tolerance = type == DType.F32 ? 1e-5 : 0x1p-7;
          Function<Backend, double[]> program = b -> product(b, type);
          double[] truth;
          try (Backend reference = new ReferenceBackend()) {
            truth = product(reference, type);
          }
          String value = setting.equals("RACES") ? "1" : "forward";
          assertEquals(
              "right", KernelMutantsTest.run(program, truth, null, setting, value, tolerance, at));
          String outcome =
              KernelMutantsTest.run(program, truth, edit, setting, value, tolerance, at);
          assertTrue(Pattern.compile(by).matcher(outcome).find(), outcome);
        });
  }

  // x · wᵀ, with rows of x in the middle of longer ones, whose ends are not zeros. In TF32 the
  // factors lie between two that it has: the reference gets them rounded.
  private static double[] product(Backend backend, DType type) {
    boolean tf32 = type == DType.F32;
    boolean exact = backend instanceof ReferenceBackend;
    try (var _ = Scope.open()) {
      if (tf32 && !exact) {
        backend.multiplyInTf32(true);
      }
      Tensors on = Tensors.on(backend);
      double more = tf32 && !exact ? 1 + 0.75 * 0x1p-10 : tf32 ? 1 + 0x1p-10 : 1;
      Tensor x = tensor(on, type, 1, more).slice(1, 0, 124);
      Tensor w = tensor(on, type, 2, more).slice(1, 0, 124);
      return x.matmul(w.transpose()).toDoubleArray();
    }
  }

  private static Tensor tensor(Tensors on, DType type, int seed, double more) {
    float[] values = numbers(new Random(seed), 70 * 136);
    double[] wide = new double[values.length];
    Arrays.setAll(wide, i -> more == 1 ? values[i] : Math.copySign(more, values[i]));
    return on.of(wide, type, Shape.of(70, 136));
  }

  // Such as BF16 holds exactly.
  private static float[] numbers(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (random.nextInt(33) - 16) / 16f;
    }
    return values;
  }

  private static NdArray upload(
      CudaBackend backend,
      Workspace work,
      DType type,
      float[] values,
      int rows,
      int columns,
      boolean byColumns) {
    NdArray array =
        work.allocate(type, byColumns ? Shape.of(columns, rows) : Shape.of(rows, columns));
    byte[] bytes = new byte[values.length * type.bytes()];
    MemorySegment segment = MemorySegment.ofArray(bytes);
    for (int i = 0; i < values.length; i++) {
      int at = byColumns ? i % columns * rows + i / columns : i;
      if (type == DType.F32) {
        segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at * 4L, values[i]);
      } else {
        segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, at * 2L, type.toHalf(values[i]));
      }
    }
    backend.upload(segment, array);
    return byColumns ? array.transpose() : array;
  }

  private static float[] read(CudaBackend backend, NdArray array) {
    MemorySegment segment = backend.readback(array).await();
    float[] values = new float[Math.toIntExact(array.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          array.dtype() == DType.F32
              ? segment.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i)
              : array.dtype().fromHalf(segment.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i));
    }
    return values;
  }
}
