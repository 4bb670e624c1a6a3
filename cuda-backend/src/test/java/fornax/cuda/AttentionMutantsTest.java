package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.reference.ReferenceBackend;
import fornax.cuda.KernelMutantsTest.Edit;
import fornax.tensor.AttentionSpec;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.regex.Pattern;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/// The tests of attention's kernels can fail: copies without a barrier, a wait for `cp.async`, an
/// edge of the causal mask or a tile, and with a wrong index of a fragment, are caught.
class AttentionMutantsTest {
  private static final String RACE = "race on byte";
  private static final String WRONG = "wrong numbers";

  @TempDir static @Nullable Path folder;

  @TestFactory
  Stream<DynamicTest> onTheOrdinaryCores() {
    String file = "attention";
    return Stream.of(
        caught("a tile before it is read", DType.F32, barrier(file, 0), "RACES", RACE),
        caught("a tile before the next", DType.F32, barrier(file, 1), "RACES", RACE),
        caught("a row's weights", DType.F32, Edit.of(file, "__syncwarp();", ""), "RACES", RACE),
        caught("a tile of keys, for dq", DType.F32, barrier(file, 3), true, "RACES", RACE),
        caught(
            "a tile of queries, for dk and dv", DType.F32, barrier(file, 5), true, "RACES", RACE));
  }

  @TestFactory
  Stream<DynamicTest> onTensorCores() {
    String file = "attentionmma";
    return Stream.of(
        caught("queries in the tiles' memory", DType.BF16, body(file, 1), "RACES", RACE),
        caught("a tile before it is read", DType.BF16, body(file, 2), "RACES", RACE),
        caught("a half before it is filled again", DType.BF16, body(file, 3), "RACES", RACE),
        caught(
            "a wait for cp.async",
            DType.BF16,
            body(file, "waitForCopies<1>();", 0, ""),
            "ORDER",
            WRONG),
        caught(
            "a wait for one group less",
            DType.BF16,
            body(file, "waitForCopies<1>();", 0, "waitForCopies<2>();"),
            "ORDER",
            WRONG),
        caught(
            "a wait for cp.async, for dk and dv",
            DType.BF16,
            body(file, "waitForCopies<1>();", 2, ""),
            true,
            "ORDER",
            WRONG),
        caught(
            "a wrong index of a left fragment",
            DType.BF16,
            fragment("loadMatrices(to, tile + lane % 16 * pitch + lane / 16 * 8)", "lane / 16"),
            "ORDER",
            WRONG),
        caught(
            "a wrong index of a right fragment",
            DType.BF16,
            fragment("loadTransposed(to, tile + lane % 16 * pitch + lane / 16 * 8)", "lane / 16"),
            "ORDER",
            WRONG),
        caught(
            "rows of a result one fragment further",
            DType.BF16,
            body(file, "threadIdx.x % 32 / 4 + i / 2 * 8", 0, "threadIdx.x % 32 / 4 + i % 2 * 8"),
            "ORDER",
            WRONG));
  }

  /// In F16, as cards before capability 8.0 run it: copies at once, and products of half the depth.
  @TestFactory
  Stream<DynamicTest> onTensorCoresInF16() {
    String file = "attentionmmaf16";
    return Stream.of(
        caught("a tile before it is read", DType.F16, body(file, 2), "RACES", RACE),
        caught(
            "the second half of the depth",
            DType.F16,
            new Edit(file, "tensorcore.cuh", "multiplyAddHalf(c, a[2], a[3], b1);", 0, ""),
            "ORDER",
            WRONG),
        caught(
            "weights rounded to the other type",
            DType.F16,
            body(file, "pack<half_t>(low[0], low[1])", 0, "pack<bf16>(low[0], low[1])"),
            "ORDER",
            WRONG));
  }

  @TestFactory
  Stream<DynamicTest> edges() {
    return Stream.of(DType.F32, DType.BF16)
        .flatMap(
            type ->
                Stream.of(
                    caught(
                        "a skipped causal edge",
                        type,
                        shared(
                            type,
                            "(i64)key + keys - 1 <= (i64)query",
                            "(i64)key <= (i64)query + queries"),
                        "ORDER",
                        WRONG),
                    caught(
                        "a causal edge one key too far",
                        type,
                        shared(
                            type,
                            "(i64)key > (i64)query + p.Tk",
                            "(i64)key > (i64)query + p.Tk + 1"),
                        "ORDER",
                        WRONG),
                    caught(
                        "the last tile of keys",
                        type,
                        shared(type, "(i64)min(end, p.Tq) + p.Tk - p.Tq", "(i64)end - 64"),
                        "ORDER",
                        WRONG)));
  }

  private static Edit barrier(String file, int occurrence) {
    return Edit.barrier(file, occurrence);
  }

  // In what the kernels for tensor cores of all types share.
  private static Edit body(String file, int barrier) {
    return Edit.barrier(file, "attentionmma.cuh", barrier);
  }

  private static Edit body(String file, String text, int occurrence, String replacement) {
    return new Edit(file, "attentionmma.cuh", text, occurrence, replacement);
  }

  private static Edit fragment(String text, String index) {
    return new Edit("attentionmma", "tensorcore.cuh", text, 0, text.replace(index, "lane / 8 % 2"));
  }

  private static Edit shared(DType type, String text, String replacement) {
    String file = type == DType.F32 ? "attention" : "attentionmma";
    return new Edit(file, "attention.cuh", text, 0, replacement);
  }

  private static DynamicTest caught(String name, DType type, Edit edit, String setting, String by) {
    return caught(name, type, edit, false, setting, by);
  }

  private static DynamicTest caught(
      String name, DType type, Edit edit, boolean gradient, String setting, String by) {
    return dynamicTest(
        name + " (" + edit.kernels() + ")",
        () -> {
          assumeFalse(TestDevice.isCard(), "a card need not notice");
          Path at = folder;
          if (at == null) {
            throw new IllegalStateException("no folder");
          }
          double[] truth;
          try (Backend reference = new ReferenceBackend()) {
            truth = attention(reference, DType.F64, gradient);
          }
          double tolerance = type == DType.F32 ? 1e-5 : 0x1p-6;
          String value = setting.equals("RACES") ? "1" : "forward";
          assertEquals(
              "right",
              KernelMutantsTest.run(
                  b -> attention(b, type, gradient), truth, null, setting, value, tolerance, at));
          String outcome =
              KernelMutantsTest.run(
                  b -> attention(b, type, gradient), truth, edit, setting, value, tolerance, at);
          assertTrue(Pattern.compile(by).matcher(outcome).find(), outcome);
        });
  }

  // Causal attention over more than two tiles, or its gradients.
  private static double[] attention(Backend backend, DType type, boolean gradient) {
    try (var _ = Scope.open()) {
      Tensor q = numbers(backend, type, 1);
      Tensor k = numbers(backend, type, 2);
      Tensor v = numbers(backend, type, 3);
      Tensor y = Tensor.attention(q, k, v, AttentionSpec.CAUSAL);
      if (!gradient) {
        return y.toDoubleArray();
      }
      y.backward(numbers(backend, type, 4).detach());
      return Stream.of(q.grad(), k.grad(), v.grad())
          .flatMapToDouble(x -> x == null ? DoubleStream.empty() : Arrays.stream(x.toDoubleArray()))
          .toArray();
    }
  }

  // Such as BF16 holds exactly.
  private static Tensor numbers(Backend backend, DType type, int seed) {
    Shape shape = Shape.of(1, 1, 135, 16);
    double[] values = new double[Math.toIntExact(shape.elements())];
    Random random = new Random(seed);
    Arrays.setAll(values, _ -> (random.nextInt(33) - 16) / 16.0);
    return Tensors.on(backend).of(values, type, shape).requiresGrad(true);
  }
}
