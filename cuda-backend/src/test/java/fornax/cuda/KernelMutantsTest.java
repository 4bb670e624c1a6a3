package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Conv2dOptions;
import fornax.backend.Pool2dOptions;
import fornax.backend.Unary;
import fornax.backend.reference.ReferenceBackend;
import fornax.cuda.softwaredevice.SoftwareDevice;
import fornax.tensor.LossOptions;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/// The tests of the kernels can fail: copies of our kernels with a barrier, a bound, a mask or an
/// atomic removed are caught on the software device, by a fault or by numbers that differ from the
/// reference's. Unchanged they are right in the same mode.
class KernelMutantsTest {
  private static final String RACE = "race on byte";
  private static final String ILLEGAL_ADDRESS = "ILLEGAL_ADDRESS";
  private static final String WRONG = "wrong numbers";
  private static final String DAMAGE = "damaged guard words";
  private static final String BARRIER = "__syncthreads();";

  @TempDir static @Nullable Path folder;

  /// An edit of a kernel file or of a header it includes.
  ///
  /// @param kernels the kernel file, without `.cu`
  /// @param edited the file that is edited
  /// @param text what is replaced
  /// @param occurrence which occurrence of the text in the file, from 0
  /// @param replacement what takes its place
  record Edit(String kernels, String edited, String text, int occurrence, String replacement) {
    static Edit barrier(String kernels, int occurrence) {
      return new Edit(kernels, kernels + ".cu", BARRIER, occurrence, "");
    }

    static Edit of(String kernels, String text, String replacement) {
      return new Edit(kernels, kernels + ".cu", text, 0, replacement);
    }

    static Edit barrier(String kernels, String header, int occurrence) {
      return new Edit(kernels, header, BARRIER, occurrence, "");
    }

    static Edit header(String kernels, String text, int occurrence, String replacement) {
      return new Edit(kernels, "fornax.cuh", text, occurrence, replacement);
    }

    KernelSource apply() {
      KernelSource source = KernelSource.load(kernels);
      if (edited.equals(kernels + ".cu")) {
        return new KernelSource(kernels, oneWidth(edit(source.text())), source.headers());
      }
      Map<String, String> headers = new LinkedHashMap<>(source.headers());
      headers.computeIfPresent(edited, (_, before) -> edit(before));
      return new KernelSource(kernels, oneWidth(source.text()), headers);
    }

    // Kernels for Turing's tensor cores are spoilt as these see them.
    String architecture() {
      return KernelSource.leastCapability(kernels) == 75 ? "compute_75" : "compute_80";
    }

    // Without attention's kernels for wide heads: compiling them takes longer than the test.
    private static String oneWidth(String text) {
      return text.replaceAll(
          "(?m)^ATTENTION\\(((float|bf16|f16), \\w+, |mma\\w*, )?(64|128),.*$", "");
    }

    private String edit(String before) {
      int at = -1;
      for (int i = 0; i <= occurrence; i++) {
        at = before.indexOf(text, at + 1);
        if (at < 0) {
          throw new IllegalArgumentException(edited + " has no occurrence " + i + " of " + text);
        }
      }
      return before.substring(0, at) + replacement + before.substring(at + text.length());
    }
  }

  @TestFactory
  Stream<DynamicTest> missingBarrier() {
    return Stream.of(
        caught(
            "the sum of a block before it reads",
            Edit.header("reduction", BARRIER, 0, ""),
            KernelMutantsTest::sumOfRows,
            "RACES",
            "1",
            RACE),
        caught(
            "a second sum of a block",
            Edit.header("layernorm", BARRIER, 1, ""),
            KernelMutantsTest::layerNormOfLongRows,
            "RACES",
            "1",
            RACE),
        caught(
            "a tile of column sums",
            Edit.barrier("reduction", 0),
            KernelMutantsTest::sumOfColumns,
            "RACES",
            "1",
            RACE),
        caught(
            "a transposed tile",
            Edit.barrier("copy", 0),
            KernelMutantsTest::transpose,
            "RACES",
            "1",
            RACE),
        caught(
            "a transposed tile, without looking for races",
            Edit.barrier("copy", 0),
            KernelMutantsTest::transpose,
            "ORDER",
            "forward",
            WRONG),
        caught(
            "the totals of warps in a scan",
            Edit.barrier("scan", 0),
            KernelMutantsTest::cumulativeSum,
            "RACES",
            "1",
            RACE),
        caught(
            "the next piece of a scan",
            Edit.barrier("scan", 1),
            KernelMutantsTest::cumulativeSum,
            "RACES",
            "1",
            RACE),
        caught(
            "a filled tile of a sort",
            Edit.barrier("sort", 0),
            KernelMutantsTest::sort,
            "RACES",
            "1",
            RACE),
        caught(
            "a step of a sort",
            Edit.barrier("sort", 1),
            KernelMutantsTest::sort,
            "RACES",
            "1",
            RACE),
        caught(
            "the gradients of layerNorm's parameters",
            Edit.barrier("layernorm", 0),
            KernelMutantsTest::layerNormGradient,
            "RACES",
            "1",
            RACE),
        caught(
            "the gradient of a bias",
            Edit.barrier("linear", 0),
            KernelMutantsTest::linearGradient,
            "RACES",
            "1",
            RACE),
        caught(
            "the first tile of a product",
            Edit.barrier("matmul", 0),
            KernelMutantsTest::product,
            "RACES",
            "1",
            RACE),
        caught(
            "the next tile of a product",
            Edit.barrier("matmul", 1),
            KernelMutantsTest::product,
            "RACES",
            "1",
            RACE));
  }

  @TestFactory
  Stream<DynamicTest> missingBound() {
    return Stream.of(
        caught(
            "the rows of softmax",
            Edit.of("softmax", "row >= outer", "false"),
            KernelMutantsTest::softmaxOfShortRows,
            "ORDER",
            "reverse",
            ILLEGAL_ADDRESS),
        caught(
            "the end of a tile that is read",
            Edit.of("copy", "row < rows && column + k < columns", "true"),
            KernelMutantsTest::transpose,
            "ORDER",
            "reverse",
            ILLEGAL_ADDRESS),
        caught(
            "the end of a tile that is written",
            Edit.of("copy", "row + k < rows && column < columns", "true"),
            KernelMutantsTest::transpose,
            "ORDER",
            "reverse",
            ILLEGAL_ADDRESS),
        caught(
            "the end of the sorted indices",
            Edit.of("scatteradd", "end < count && ", ""),
            KernelMutantsTest::scatterAdd,
            "ORDER",
            "forward",
            WRONG),
        caught(
            "the first of equal indices",
            Edit.of("scatteradd", "first > 0 && sorted[first - 1] == index", "false"),
            KernelMutantsTest::embeddingGradient,
            "ORDER",
            "forward",
            WRONG),
        caught(
            "the columns of scattered rows",
            Edit.of("scatteradd", "column >= n", "false"),
            KernelMutantsTest::shortEmbeddingGradient,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG + "|" + DAMAGE),
        caught(
            "the columns of an activation's gradient",
            Edit.of("linear", "if (m < M) {", "{"),
            KernelMutantsTest::activationGradient,
            "ORDER",
            "forward",
            DAMAGE),
        caught(
            "the columns of a bias's gradient",
            Edit.of("linear", "threadIdx.y == 0 && m < M", "threadIdx.y == 0"),
            KernelMutantsTest::activationGradient,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG + "|" + DAMAGE),
        caught(
            "the rows of a layer norm",
            Edit.of("layernorm", "row >= N", "false"),
            KernelMutantsTest::addLayerNorm,
            "ORDER",
            "reverse",
            ILLEGAL_ADDRESS + "|" + DAMAGE),
        caught(
            "the end of a scanned row",
            Edit.of("scan", "i < n ? element", "true ? element"),
            KernelMutantsTest::cumulativeSum,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS),
        caught(
            "the edge of an image under a filter",
            Edit.of("conv2d", "column >= 0 && column < f.width", "true"),
            KernelMutantsTest::convolution,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG),
        caught(
            "the last columns of a convolution's gradient",
            Edit.of("conv2d", "right / f.strideX >= f.outWidth", "false"),
            KernelMutantsTest::convolutionGradient,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG),
        caught(
            "the edge of an image under a window",
            Edit.of("pool2d", "min(s.left + w.windowWidth, w.width)", "s.left + w.windowWidth"),
            KernelMutantsTest::maxPool2d,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG),
        caught(
            "the last windows of a pool's gradient",
            Edit.of("pool2d", "min(column / w.strideX + 1, w.outWidth)", "column / w.strideX + 1"),
            KernelMutantsTest::avgPool2dGradient,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG),
        caught(
            "the edge of a product",
            Edit.of("matmul", "row < p.M && column < p.N", "true"),
            KernelMutantsTest::product,
            "ORDER",
            "forward",
            ILLEGAL_ADDRESS + "|" + WRONG));
  }

  @TestFactory
  Stream<DynamicTest> wrongMask() {
    return Stream.of(
        caught(
            "a reduction that all lanes execute but one lane's mask names",
            Edit.header("reduction", "__shfl_xor_sync(ALL_LANES", 0, "__shfl_xor_sync(1u"),
            KernelMutantsTest::sumOfRows,
            "ORDER",
            "forward",
            "leaves out the lane"),
        caught(
            "a scan that adds what no lane gave",
            Edit.of("scan", "lane >= step ? left : V(0)", "left"),
            KernelMutantsTest::cumulativeSum,
            "ORDER",
            "forward",
            WRONG));
  }

  /// Rows of logits are further apart than they are wide.
  @TestFactory
  Stream<DynamicTest> forgottenPitch() {
    String file = "crossentropy";
    return Stream.of(
        caught(
            "rows of logits",
            Edit.of(file, "x += row * pitch;", "x += (i64)row * C;"),
            KernelMutantsTest::lossOfAVocabulary,
            "ORDER",
            "forward",
            WRONG),
        caught(
            "rows of their gradient",
            Edit.of(file, "dx += row * dxPitch;", "dx += (i64)row * C;"),
            KernelMutantsTest::lossOfAVocabulary,
            "ORDER",
            "forward",
            WRONG));
  }

  /// Without the atomic, two wrong indices leave the position of one and the value of the other.
  @TestFactory
  Stream<DynamicTest> missingAtomic() {
    return Stream.of(
        caught(
            "the first wrong index wins",
            Edit.header(
                "embedding",
                "atomicCAS(&error->taken, 0u, 1u) == 0",
                0,
                "error->taken == 0 && (error->taken = 1)"),
            KernelMutantsTest::wrongIndices,
            "PREEMPT",
            "1",
            WRONG));
  }

  private static DynamicTest caught(
      String name,
      Edit edit,
      Function<Backend, double[]> program,
      String setting,
      String value,
      String by) {
    return dynamicTest(
        name + " (" + edit.edited() + " without `" + edit.text() + "` " + edit.occurrence() + ")",
        () -> {
          assumeFalse(TestDevice.isCard(), "a card need not notice");
          double[] truth;
          try (Backend reference = new ReferenceBackend()) {
            truth = program.apply(reference);
          }
          assertEquals("right", run(program, truth, null, setting, value, 1e-4, temporary()));
          String outcome = run(program, truth, edit, setting, value, 1e-4, temporary());
          assertTrue(Pattern.compile(by).matcher(outcome).find(), outcome);
        });
  }

  /// What comes of `program` on the software device with the kernels edited (null: as they are):
  /// "right", "wrong numbers" or the error.
  static String run(
      Function<Backend, double[]> program,
      double[] truth,
      @Nullable Edit edit,
      String setting,
      String value,
      double tolerance,
      Path folder)
      throws Exception {
    TestDevice.load();
    SoftwareDevice.set("QUIET", "1");
    SoftwareDevice.set("ORDER", setting.equals("PREEMPT") ? "random" : "forward");
    SoftwareDevice.set(setting, value);
    System.setProperty("fornax.cuda.cublas", "false");
    try {
      if (edit != null) {
        Nvrtc.Result ptx =
            CudaCompiler.compile(
                Requirement.nvrtc(), edit.apply(), edit.architecture(), List.of("-lineinfo"));
        Path file = Files.write(folder.resolve("mutant.ptx"), ptx.code());
        SoftwareDevice.set("SUBSTITUTE", file.toString());
      }
      double[] ours;
      try (Backend backend = TestDevice.open()) {
        ours = program.apply(backend);
      }
      if (edit != null) {
        assertEquals(1, SoftwareDevice.substituted(), "the mutant must have been loaded");
      }
      return close(truth, ours, tolerance) ? "right" : WRONG + " " + Arrays.toString(ours);
    } catch (RuntimeException e) {
      return e + "; " + SoftwareDevice.message();
    } finally {
      System.clearProperty("fornax.cuda.cublas");
      // A fault stays until its context ends.
      CUdevice device = new CUdevice();
      int _ = JCudaDriver.cuDeviceGet(device, 0);
      int _ = JCudaDriver.cuDevicePrimaryCtxReset(device);
      SoftwareDevice.reset();
    }
  }

  private static Path temporary() {
    if (folder == null) {
      throw new IllegalStateException("no folder");
    }
    return folder;
  }

  private static boolean close(double[] a, double[] b, double tolerance) {
    for (int i = 0; i < a.length; i++) {
      if (!(Math.abs(a[i] - b[i]) <= tolerance * Math.max(1, Math.abs(a[i])))) {
        return false;
      }
    }
    return true;
  }

  // ---- programs: each uses the kernels of an edit

  private static Tensor numbers(Backend backend, long... shape) {
    Shape of = Shape.of(shape);
    double[] values = new double[Math.toIntExact(of.elements())];
    Random random = new Random(of.elements());
    Arrays.setAll(values, _ -> random.nextInt(17) - 8);
    return Tensors.on(backend).of(values, DType.F32, of);
  }

  private static double[] in(Function<Backend, Tensor> f, Backend backend) {
    try (var _ = Scope.open()) {
      return f.apply(backend).toDoubleArray();
    }
  }

  private static double[] sumOfRows(Backend backend) {
    return in(b -> numbers(b, 3, 2000).sum(-1), backend);
  }

  private static double[] sumOfColumns(Backend backend) {
    return in(b -> numbers(b, 70, 40).sum(0), backend);
  }

  private static double[] softmaxOfShortRows(Backend backend) {
    return in(b -> numbers(b, 65, 64).softmax(-1), backend);
  }

  private static double[] layerNormOfLongRows(Backend backend) {
    return in(b -> numbers(b, 2, 2000).layerNorm(null, null, 1e-5), backend);
  }

  // Its gradient.
  private static double[] lossOfAVocabulary(Backend backend) {
    return in(
        b -> {
          Tensor x = numbers(b, 3, 8).requiresGrad(true);
          Tensor targets = Tensors.on(b).of(new int[] {64, 0, 7}, Shape.of(3));
          return gradient(x, x.linearCrossEntropy(numbers(b, 8, 65), targets, LossOptions.DEFAULT));
        },
        backend);
  }

  private static double[] transpose(Backend backend) {
    return in(b -> numbers(b, 70, 70).transpose().contiguous(), backend);
  }

  private static double[] cumulativeSum(Backend backend) {
    return in(b -> numbers(b, 2, 600).cumulativeSum(-1), backend);
  }

  private static double[] sort(Backend backend) {
    return in(b -> numbers(b, 300).sort(false).values(), backend);
  }

  private static double[] product(Backend backend) {
    return in(b -> numbers(b, 70, 40).matmul(numbers(b, 40, 70)), backend);
  }

  private static final Conv2dOptions FILTER = Conv2dOptions.DEFAULT.withStride(2).withPadding(1);
  private static final Pool2dOptions WINDOW = Pool2dOptions.of(3).withStride(2).withPadding(1);

  private static double[] convolution(Backend backend) {
    return in(b -> numbers(b, 2, 3, 6, 5).conv2d(numbers(b, 4, 3, 3, 3), null, FILTER), backend);
  }

  private static double[] convolutionGradient(Backend backend) {
    return in(
        b -> {
          Tensor x = numbers(b, 2, 3, 6, 6).requiresGrad(true);
          return gradient(x, x.conv2d(numbers(b, 4, 3, 3, 3), null, FILTER));
        },
        backend);
  }

  private static double[] maxPool2d(Backend backend) {
    return in(b -> numbers(b, 2, 3, 6, 5).maxPool2d(WINDOW), backend);
  }

  private static double[] avgPool2dGradient(Backend backend) {
    return in(
        b -> {
          Tensor x = numbers(b, 2, 3, 6, 7).requiresGrad(true);
          return gradient(x, x.avgPool2d(Pool2dOptions.of(2)));
        },
        backend);
  }

  private static double[] embeddingGradient(Backend backend) {
    return in(
        b -> {
          Tensor table = numbers(b, 9, 5).requiresGrad(true);
          int[] indices = new int[600];
          Arrays.setAll(indices, i -> i * 7 % 9);
          return gradient(table, table.embedding(Tensors.on(b).of(indices, Shape.of(600))));
        },
        backend);
  }

  // The sorted indices of a column end with the index that the next column's begin with.
  private static double[] scatterAdd(Backend backend) {
    return in(
        b -> {
          int[] indices = new int[400];
          Arrays.fill(indices, 2);
          Tensor places = Tensors.on(b).of(indices, Shape.of(100, 4));
          return numbers(b, 9, 4).scatterAdd(0, places, numbers(b, 100, 4));
        },
        backend);
  }

  // Too few indices to be sorted.
  private static double[] shortEmbeddingGradient(Backend backend) {
    return in(
        b -> {
          Tensor table = numbers(b, 9, 5).requiresGrad(true);
          int[] indices = new int[30];
          Arrays.setAll(indices, i -> i * 7 % 9);
          return gradient(table, table.embedding(Tensors.on(b).of(indices, Shape.of(30))));
        },
        backend);
  }

  private static double[] addLayerNorm(Backend backend) {
    return in(
        b -> numbers(b, 13, 64).addLayerNorm(numbers(b, 13, 64), null, null, 1e-5).normal(),
        backend);
  }

  private static double[] layerNormGradient(Backend backend) {
    return in(
        b -> {
          Tensor weight = numbers(b, 40).requiresGrad(true);
          return gradient(weight, numbers(b, 70, 40).layerNorm(weight, null, 1e-5));
        },
        backend);
  }

  private static double[] linearGradient(Backend backend) {
    return in(
        b -> {
          Tensor bias = numbers(b, 40).requiresGrad(true);
          return gradient(bias, numbers(b, 70, 8).linear(numbers(b, 8, 40), bias));
        },
        backend);
  }

  // Half a tile of columns is missing.
  private static double[] activationGradient(Backend backend) {
    return in(
        b -> {
          Tensor bias = numbers(b, 48).requiresGrad(true);
          Tensor y = numbers(b, 64, 8).linear(numbers(b, 8, 48), bias, Unary.RELU);
          return gradient(bias, y);
        },
        backend);
  }

  private static Tensor gradient(Tensor leaf, Tensor y) {
    y.backward(y.detach().mul(0.01).add(1));
    Tensor gradient = leaf.grad();
    if (gradient == null) {
      throw new IllegalStateException("no gradient");
    }
    return gradient;
  }

  // How far apart are the reported index and the one that stands at the reported position? Summed
  // over enough calls for threads to meet.
  private static double[] wrongIndices(Backend backend) {
    int[] indices = new int[64];
    Arrays.setAll(indices, i -> 1000 + i);
    int apart = 0;
    for (int i = 0; i < 20; i++) {
      try (var _ = Scope.open()) {
        Tensor y = numbers(backend, 9, 5).embedding(Tensors.on(backend).of(indices, Shape.of(64)));
        double[] _ = y.toDoubleArray();
        throw new IllegalStateException("indices outside the table were not noticed");
      } catch (IndexOutOfBoundsException e) {
        String message = String.valueOf(e.getMessage());
        Matcher numbers = Pattern.compile("got (\\d+) at position \\[?(\\d+)").matcher(message);
        if (!numbers.find()) {
          throw new IllegalStateException(e);
        }
        apart +=
            Math.abs(
                Integer.parseInt(numbers.group(1)) - 1000 - Integer.parseInt(numbers.group(2)));
      }
    }
    return new double[] {apart};
  }
}
