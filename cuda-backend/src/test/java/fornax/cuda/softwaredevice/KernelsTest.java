package fornax.cuda.softwaredevice;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.stream.IntStream;
import jcuda.driver.CUdeviceptr;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Kernels that NVRTC compiled, run in every order of threads: each mode is settings in turn.
class KernelsTest {
  private static final String FORWARD = "ORDER forward";
  private static final String REVERSE = "ORDER reverse RACES 1";
  private static final String RANDOM = "ORDER random SEED 7 STREAMS random";
  private static final String PREEMPTED = "ORDER random SEED 8 PREEMPT 5 RACES 1 CAPABILITY 9.0";

  private final String ptx = SoftwareDevice.fixture("kernels.ptx");

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void vectorAdd_addsEveryElementWithinBounds(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      float[] a = floats(1000);
      float[] b = floats(1001);
      CUdeviceptr c = gpu.allocate(4000);
      gpu.run(
          gpu.function(ptx, "vectorAdd"),
          Gpu.Shape.of(8, 128),
          gpu.upload(a),
          gpu.upload(b),
          c,
          1000);
      float[] sum = gpu.floats(c, 1000);
      for (int i = 0; i < 1000; i++) {
        assertEquals(a[i] + b[i], sum[i]);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void blockSum_addsThroughSharedMemory(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      CUdeviceptr y = gpu.allocate(12);
      float[] x = wholeNumbers(1000);
      gpu.run(gpu.function(ptx, "blockSum"), Gpu.Shape.of(3, 256), gpu.upload(x), y, 1000);
      float[] sums = gpu.floats(y, 3);
      assertEquals(sum(x), sums[0] + sums[1] + sums[2]);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void softmaxRow_sumsToOne(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      int n = 129;
      float[] x = floats(3 * n);
      CUdeviceptr y = gpu.allocate(4L * 3 * n);
      gpu.run(gpu.function(ptx, "softmaxRow"), Gpu.Shape.of(3, 128), gpu.upload(x), y, n);
      float[] out = gpu.floats(y, 3 * n);
      for (int row = 0; row < 3; row++) {
        double total = 0;
        for (int i = 0; i < n; i++) {
          total += Math.exp(x[row * n + i]);
        }
        for (int i = 0; i < n; i++) {
          assertEquals(Math.exp(x[row * n + i]) / total, out[row * n + i], 1e-6);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void partialWarpSum_needsOnlyTheLanesOfItsMask(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      int[] x = IntStream.range(0, 32).map(i -> i * i + 1).toArray();
      CUdeviceptr y = gpu.allocate(4);
      gpu.run(gpu.function(ptx, "partialWarpSum"), Gpu.Shape.of(1, 32), gpu.upload(x), y, 13);
      assertEquals(IntStream.of(x).limit(13).sum(), gpu.ints(y, 1)[0]);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void histogram_countsWithAtomics(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      int[] x = new Random(5).ints(700, 0, 16).toArray();
      var expected = new int[16];
      for (int v : x) {
        expected[v]++;
      }
      CUdeviceptr counts = gpu.upload(new int[16]);
      gpu.run(gpu.function(ptx, "histogram"), Gpu.Shape.of(4, 64), gpu.upload(x), counts, 700);
      assertArrayEquals(expected, gpu.ints(counts, 16));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void transpose_usesDynamicSharedMemory(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      int rows = 33;
      int columns = 47;
      float[] x = floats(rows * columns);
      CUdeviceptr y = gpu.allocate(4L * rows * columns);
      gpu.run(
          gpu.function(ptx, "transpose"),
          new Gpu.Shape(2, 2, 32, 32, 32 * 33 * 4),
          gpu.upload(x),
          y,
          rows,
          columns);
      float[] out = gpu.floats(y, rows * columns);
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
          assertEquals(x[r * columns + c], out[c * rows + r]);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void sumByLastBlock_seesWhatEveryBlockWrote(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      float[] x = wholeNumbers(100);
      CUdeviceptr y = gpu.allocate(4);
      gpu.run(
          gpu.function(ptx, "sumByLastBlock"),
          Gpu.Shape.of(9, 32),
          gpu.upload(x),
          gpu.allocate(36),
          y,
          100);
      assertEquals(sum(x), gpu.floats(y, 1)[0]);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void warpVotes_agree(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      int[] x = IntStream.range(0, 32).toArray();
      CUdeviceptr out = gpu.allocate(4 * 256);
      gpu.run(gpu.function(ptx, "warpVotes"), Gpu.Shape.of(1, 32), gpu.upload(x), out);
      int[] y = gpu.ints(out, 256);
      for (int lane = 0; lane < 32; lane++) {
        assertEquals(-1 << 11, y[lane], "ballot");
        assertEquals(3, y[32 + lane], "any and all");
        assertEquals(0x11111111 << (lane & 3), y[64 + lane], "match");
        assertEquals(31 * 16, y[96 + lane], "reduce_add");
        assertEquals(lane < 3 ? lane : lane - 3, y[128 + lane], "shfl_up");
        assertEquals((lane & ~7) + 5, y[160 + lane], "shfl of eight lanes");
        assertEquals(21, y[192 + lane], "syncthreads_count");
        assertEquals(31, y[224 + lane], "reduce_max");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void control_callsJumpsAndKeepsLocalArrays(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      int[] x = IntStream.range(0, 60).toArray();
      CUdeviceptr y = gpu.allocate(240);
      gpu.run(gpu.function(ptx, "control"), Gpu.Shape.of(1, 64), gpu.upload(x), y, 60);
      assertArrayEquals(IntStream.of(x).map(KernelsTest::control).toArray(), gpu.ints(y, 60));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void mmaBf16_copiesLoadsAndMultiplies(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      float[] a = wholeNumbers(16 * 32);
      float[] b = wholeNumbers(8 * 32);
      CUdeviceptr c = gpu.allocate(4 * 16 * 8);
      gpu.run(
          gpu.function(ptx, "mmaBf16"),
          Gpu.Shape.of(1, 32),
          gpu.upload(bf16(a)),
          gpu.upload(bf16(b)),
          c);
      float[] out = gpu.floats(c, 128);
      for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) {
          float sum = 0;
          for (int k = 0; k < 32; k++) {
            sum += a[i * 32 + k] * b[j * 32 + k];
          }
          assertEquals(sum, out[i * 8 + j]);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, REVERSE, RANDOM, PREEMPTED})
  void mmaTf32_keepsTenBitsOfTheFactors(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      float[] a = floats(16 * 8);
      float[] b = floats(8 * 8);
      CUdeviceptr c = gpu.allocate(4 * 16 * 8);
      gpu.run(gpu.function(ptx, "mmaTf32"), Gpu.Shape.of(1, 32), gpu.upload(a), gpu.upload(b), c);
      float[] out = gpu.floats(c, 128);
      for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) {
          double sum = 0;
          for (int k = 0; k < 8; k++) {
            sum += (double) tf32(a[i * 8 + k]) * tf32(b[k * 8 + j]);
          }
          assertEquals((float) sum, out[i * 8 + j]);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {FORWARD, "ORDER reverse", RANDOM})
  void producerAndConsumer_bothMakeProgress(String mode) {
    try (var gpu = new Gpu(mode.split(" "))) {
      CUdeviceptr y = gpu.allocate(4);
      gpu.run(gpu.function(ptx, "producerAndConsumer"), Gpu.Shape.of(1, 64), y);
      assertEquals(7, gpu.ints(y, 1)[0]);
    }
  }

  private static int control(int v) {
    var memo = new int[] {0, 1, 2, 3, 4, 5, 6, 7};
    int[] weights = {1, 10, 100, 1000};
    int r =
        switch (v % 7) {
          case 0 -> 5;
          case 1 -> v * 2;
          case 2 -> weights[v & 3];
          case 3 -> v / 3;
          case 4 -> -v;
          case 5 -> v ^ 0x55;
          default -> 1;
        };
    for (int k = 0; k < (v & 3); k++) {
      memo[r & 7] += r;
      r += r * 3 + memo[(r + 1) & 7];
    }
    return r + memo[v & 7];
  }

  private static float[] floats(int n) {
    var random = new Random(n);
    var x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = random.nextFloat() * 4 - 2;
    }
    return x;
  }

  // Small enough that every sum of their products is exact.
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

  private static short[] bf16(float[] x) {
    var y = new short[x.length];
    for (int i = 0; i < x.length; i++) {
      y[i] = (short) (Float.floatToRawIntBits(x[i]) >>> 16);
    }
    return y;
  }

  private static float tf32(float x) {
    return Float.intBitsToFloat(Float.floatToRawIntBits(x) + 0x1000 & ~0x1fff);
  }
}
