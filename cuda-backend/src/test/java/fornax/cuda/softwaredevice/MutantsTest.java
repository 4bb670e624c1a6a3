package fornax.cuda.softwaredevice;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import jcuda.driver.CUdeviceptr;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// The device must catch what a real one would let pass by luck: copies of kernels with a barrier,
/// a bound, a mask, an atomic or a wait removed. Each is first shown to be right unchanged in the
/// same mode.
class MutantsTest {
  private static final String WRONG_RESULT = "wrong result";
  private static final String RACES = "RACES 1";
  private static final String REVERSE = "ORDER reverse";
  private static final String PREEMPTED = "ORDER random SEED 3 PREEMPT 4";

  /// Whether a kernel gives what it should.
  private interface Program {
    boolean right(Gpu gpu, String ptx);
  }

  private static final Map<String, Program> PROGRAMS =
      Map.of(
          "vectorAdd", MutantsTest::vectorAdd,
          "blockSum", MutantsTest::blockSum,
          "softmaxRow", MutantsTest::softmaxRow,
          "partialWarpSum", MutantsTest::partialWarpSum,
          "histogram", MutantsTest::histogram,
          "transpose", MutantsTest::transpose,
          "sumByLastBlock", MutantsTest::sumByLastBlock,
          "mmaBf16", MutantsTest::mmaBf16);

  private final String ptx = SoftwareDevice.fixture("kernels.ptx");

  @TestFactory
  Stream<DynamicTest> missingBarrier_isARace() {
    return Stream.of(
            IntStream.range(0, 8).mapToObj(i -> Mutant.without("blockSum", "bar.sync", i)),
            IntStream.range(0, 3).mapToObj(i -> Mutant.without("softmaxRow", "bar.sync", i)),
            IntStream.range(0, 2).mapToObj(i -> Mutant.without("histogram", "bar.sync", i)),
            Stream.of(
                Mutant.without("transpose", "bar.sync", 0),
                Mutant.without("sumByLastBlock", "bar.sync", 0),
                Mutant.without("mmaBf16", "bar.warp.sync", 0)))
        .flatMap(mutants -> mutants)
        .map(mutant -> caught(mutant, RACES, "race on byte"));
  }

  @TestFactory
  Stream<DynamicTest> missingBarrier_givesAWrongResult() {
    return Stream.of(
            Mutant.without("blockSum", "bar.sync", 0),
            Mutant.without("blockSum", "bar.sync", 1),
            Mutant.without("softmaxRow", "bar.sync", 0),
            Mutant.without("transpose", "bar.sync", 0))
        .map(mutant -> caught(mutant, "ORDER forward", WRONG_RESULT));
  }

  @TestFactory
  Stream<DynamicTest> missingBound_isAnIllegalAddress() {
    return Stream.of(
        caught(
            new Mutant("vectorAdd without its bound", "vectorAdd", "@%p1 bra", 0, ""),
            "ORDER forward",
            "CUDA_ERROR_ILLEGAL_ADDRESS.*beyond the end of allocation"),
        caught(
            new Mutant("transpose without the bound of its load", "transpose", "@%p3 bra", 0, ""),
            "ORDER forward",
            "CUDA_ERROR_ILLEGAL_ADDRESS.*ld.global.f32"),
        caught(
            new Mutant("transpose without the bound of its store", "transpose", "@%p6 bra", 0, ""),
            REVERSE,
            "CUDA_ERROR_ILLEGAL_ADDRESS.*st.global.f32"),
        caught(
            new Mutant(
                "blockSum one word beyond its shared memory",
                "blockSum",
                "ld.shared.f32(.*)rd2\\+512",
                0,
                "ld.shared.f32$1rd2+516];"),
            "ORDER forward",
            "CUDA_ERROR_ILLEGAL_ADDRESS.*outside every variable of shared memory"),
        caught(
            new Mutant(
                "vectorAdd off its alignment",
                "vectorAdd",
                "st.global.f32(.*)rd10\\]",
                0,
                "st.global.f32$1rd10+2], %f3;"),
            "ORDER forward",
            "CUDA_ERROR_MISALIGNED_ADDRESS"));
  }

  @TestFactory
  Stream<DynamicTest> wrongMask_isCaught() {
    return Stream.of(
        caught(
            new Mutant(
                "partialWarpSum with a mask of one lane",
                "partialWarpSum",
                "not.b32",
                0,
                "mov.u32 %r3, 1;"),
            "ORDER forward",
            "leaves out the lane that executes it"),
        caught(
            new Mutant(
                "partialWarpSum without the test of the other lane",
                "partialWarpSum",
                "selp.b32",
                0,
                "mov.b32 %r16, %r14;"),
            "ORDER forward",
            WRONG_RESULT),
        caught(
            new Mutant(
                "softmaxRow of which half a warp shuffles",
                "softmaxRow",
                "shfl.sync.bfly.b32(.*)r38;",
                0,
                "{ .reg .pred z; .reg .b32 lane; mov.u32 lane, %laneid; setp.lt.u32 z, lane, 16;"
                    + " @z shfl.sync.bfly.b32$1r38; }"),
            "ORDER forward",
            "lanes of one mask execute different instructions"),
        caught(
            new Mutant(
                "softmaxRow of which half a warp waits at a barrier first",
                "softmaxRow",
                "shfl.sync.bfly.b32(.*)r38;",
                0,
                "{ .reg .pred z; .reg .b32 lane; mov.u32 lane, %laneid; setp.lt.u32 z, lane, 16;"
                    + " @z bar.sync 0; shfl.sync.bfly.b32$1r38; }"),
            "ORDER forward",
            "deadlock, 128 threads wait for ever"),
        caught(
            new Mutant(
                "blockSum with a barrier that half the block skips",
                "blockSum",
                "@%p3 bra",
                0,
                "@%p3 bra \\$L__BB1_7;"),
            "ORDER forward",
            "divergent __syncthreads"));
  }

  @TestFactory
  Stream<DynamicTest> missingAtomic_isCaught() {
    return Stream.of(
        caught(
            new Mutant(
                "histogram without its atomic in shared memory",
                "histogram",
                "atom.shared.add.u32.*",
                0,
                "{ .reg .b32 v; ld.shared.u32 v, [%rd14]; add.u32 v, v, 1;"
                    + " st.shared.u32 [%rd14], v; }"),
            RACES,
            "race on byte"),
        caught(
            new Mutant(
                "histogram without its atomic in global memory",
                "histogram",
                "atom.global.add.u32.*",
                0,
                "{ .reg .b32 v; ld.global.u32 v, [%rd17]; add.u32 v, v, %r12;"
                    + " st.global.u32 [%rd17], v; }"),
            PREEMPTED,
            WRONG_RESULT),
        caught(
            new Mutant(
                "sumByLastBlock without its atomic",
                "sumByLastBlock",
                "atom.global.add.u32.*",
                0,
                "{ ld.global.u32 %r17, [%rd15]; add.u32 %r18, %r17, 1;"
                    + " st.global.u32 [%rd15], %r18; }"),
            PREEMPTED,
            WRONG_RESULT));
  }

  @TestFactory
  Stream<DynamicTest> missingWait_isCaught() {
    return Stream.of(
        caught(Mutant.without("mmaBf16", "cp.async.wait_group", 0), "ORDER forward", WRONG_RESULT));
  }

  private DynamicTest caught(Mutant mutant, String mode, String by) {
    return dynamicTest(
        mutant + ": " + by,
        () -> {
          Program program = PROGRAMS.get(mutant.kernel());
          if (program == null) {
            throw new IllegalArgumentException(mutant.kernel());
          }
          try (var gpu = new Gpu(mode.split(" "))) {
            assertTrue(program.right(gpu, ptx), "unchanged it must be right in this mode");
          }
          String outcome;
          try (var gpu = new Gpu(mode.split(" "))) {
            outcome = program.right(gpu, mutant.apply(ptx)) ? "not caught" : WRONG_RESULT;
          } catch (Gpu.Fault fault) {
            outcome = String.valueOf(fault.getMessage());
          }
          assertTrue(outcome.matches("(?s).*" + by + ".*"), outcome);
        });
  }

  private static boolean vectorAdd(Gpu gpu, String ptx) {
    float[] x = wholeNumbers(1000);
    CUdeviceptr y = gpu.allocate(4000);
    CUdeviceptr a = gpu.upload(x);
    gpu.run(gpu.function(ptx, "vectorAdd"), Gpu.Shape.of(8, 128), a, a, y, 1000);
    float[] sums = gpu.floats(y, 1000);
    return IntStream.range(0, 1000).allMatch(i -> sums[i] == 2 * x[i]);
  }

  private static boolean blockSum(Gpu gpu, String ptx) {
    float[] x = wholeNumbers(256);
    CUdeviceptr y = gpu.allocate(4);
    gpu.run(gpu.function(ptx, "blockSum"), Gpu.Shape.of(1, 256), gpu.upload(x), y, 256);
    return gpu.floats(y, 1)[0] == sum(x);
  }

  private static boolean softmaxRow(Gpu gpu, String ptx) {
    float[] x = wholeNumbers(256);
    CUdeviceptr y = gpu.allocate(1024);
    gpu.run(gpu.function(ptx, "softmaxRow"), Gpu.Shape.of(1, 128), gpu.upload(x), y, 256);
    double total = IntStream.range(0, 256).mapToDouble(i -> Math.exp(x[i])).sum();
    float[] out = gpu.floats(y, 256);
    return IntStream.range(0, 256).allMatch(i -> Math.abs(Math.exp(x[i]) / total - out[i]) < 1e-6);
  }

  private static boolean partialWarpSum(Gpu gpu, String ptx) {
    int[] x = IntStream.range(0, 32).map(i -> i * i + 1).toArray();
    CUdeviceptr y = gpu.upload(0);
    gpu.run(gpu.function(ptx, "partialWarpSum"), Gpu.Shape.of(1, 32), gpu.upload(x), y, 13);
    return gpu.ints(y, 1)[0] == IntStream.of(x).limit(13).sum();
  }

  private static boolean histogram(Gpu gpu, String ptx) {
    int[] x = new Random(5).ints(700, 0, 16).toArray();
    var expected = new int[16];
    for (int v : x) {
      expected[v]++;
    }
    CUdeviceptr counts = gpu.upload(new int[16]);
    gpu.run(gpu.function(ptx, "histogram"), Gpu.Shape.of(4, 64), gpu.upload(x), counts, 700);
    return Arrays.equals(gpu.ints(counts, 16), expected);
  }

  private static boolean transpose(Gpu gpu, String ptx) {
    float[] x = wholeNumbers(33 * 47);
    CUdeviceptr y = gpu.allocate(4L * x.length);
    gpu.run(
        gpu.function(ptx, "transpose"),
        new Gpu.Shape(2, 2, 32, 32, 32 * 33 * 4),
        gpu.upload(x),
        y,
        33,
        47);
    float[] out = gpu.floats(y, x.length);
    return IntStream.range(0, x.length).allMatch(i -> x[i] == out[i % 47 * 33 + i / 47]);
  }

  private static boolean sumByLastBlock(Gpu gpu, String ptx) {
    float[] x = wholeNumbers(64);
    CUdeviceptr y = gpu.upload(Float.NaN);
    gpu.run(
        gpu.function(ptx, "sumByLastBlock"),
        Gpu.Shape.of(8, 32),
        gpu.upload(x),
        gpu.allocate(32),
        y,
        64);
    return gpu.floats(y, 1)[0] == sum(x);
  }

  private static boolean mmaBf16(Gpu gpu, String ptx) {
    var one = new short[16 * 32];
    Arrays.fill(one, (short) 0x3f80);
    CUdeviceptr c = gpu.allocate(512);
    CUdeviceptr ones = gpu.upload(one);
    gpu.run(gpu.function(ptx, "mmaBf16"), Gpu.Shape.of(1, 32), ones, ones, c);
    float[] out = gpu.floats(c, 128);
    return IntStream.range(0, 128).allMatch(i -> out[i] == 32);
  }

  // Small enough that every sum is exact.
  private static float[] wholeNumbers(int n) {
    var random = new Random(n);
    var x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = random.nextInt(17) - 8;
    }
    return x;
  }

  private static float sum(float[] x) {
    float sum = 0;
    for (float v : x) {
      sum += v;
    }
    return sum;
  }
}
