package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Products by oneDNN against sums in double, and against themselves on other numbers of threads.
class OneDnnMatmulTest {
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final int PADDING = 5;

  private final OneDnnMatmul oneDnn = OneDnnRequirement.matmul();

  private final Arena arena = Arena.ofShared();
  private final SplittableRandom random = new SplittableRandom(11);

  @AfterEach
  void close() {
    arena.close();
  }

  /// How an operand lies in memory: by rows or by columns, with something between them.
  enum Form {
    ROWS,
    COLUMNS
  }

  private MatrixView matrix(Form form, int batch, int rows, int columns, boolean bfloat16) {
    long stride = (form == Form.ROWS ? columns : rows) + (long) PADDING;
    long size = stride * (form == Form.ROWS ? rows : columns);
    long elements = 3 + size * batch;
    MemorySegment data = arena.allocate(elements * (bfloat16 ? 2 : 4), 64);
    for (long i = 0; i < elements; i++) {
      float x = (float) random.nextDouble(-1, 1);
      if (bfloat16) {
        data.setAtIndex(SHORT, i, DType.toBFloat16(x));
      } else {
        data.setAtIndex(FLOAT, i, x);
      }
    }
    long rowStride = form == Form.ROWS ? stride : 1;
    long columnStride = form == Form.ROWS ? 1 : stride;
    return (bfloat16
            ? MatrixView.ofBfloat16(data, 3, rowStride, columnStride)
            : MatrixView.ofFloat32(data, 3, rowStride, columnStride))
        .withBatchStride(size);
  }

  private static float get(MatrixView x, int batch, int i, int j) {
    long at = x.byteOffset(batch, i, j);
    return x.bfloat16 ? DType.fromBFloat16(x.data.get(SHORT, at)) : x.data.get(FLOAT, at);
  }

  private MatmulArgs args(int[] shape, Form a, Form b, boolean bfloat16Result) {
    return new MatmulArgs(
        shape,
        matrix(a, shape[0], shape[1], shape[2], true),
        matrix(b, shape[0], shape[2], shape[3], true),
        matrix(Form.ROWS, shape[0], shape[1], shape[3], bfloat16Result));
  }

  /// Sums in double; every element of `y` must be within half a unit of what its type can tell, but
  /// for the F32 sums' own error, and nothing beside `y` may change.
  private void check(MatmulArgs args) {
    assertTrue(OneDnnMatmul.takes(args));
    float[][] before = numbers(args.y, args);
    byte[] beside = beside(args.y, args);
    try (var workers = new Workers(2)) {
      oneDnn.run(workers, args);
    }
    assertArrayEquals(beside, beside(args.y, args), "written beside y");
    for (int n = 0; n < args.batch; n++) {
      float[] a = values(args.a, n, args.rows, args.inner);
      float[] b = values(args.b.transposed(), n, args.columns, args.inner);
      for (int i = 0; i < args.rows; i++) {
        for (int j = 0; j < args.columns; j++) {
          double sum = args.accumulate ? before[n][i * args.columns + j] : 0;
          for (int k = 0; k < args.inner; k++) {
            sum += (double) a[i * args.inner + k] * b[j * args.inner + k];
          }
          if (args.bias != null) {
            sum += get(args.bias, 0, 0, j);
          }
          if (args.preActivation != null) {
            near(sum, get(args.preActivation, n, i, j), args, args.preActivation.bfloat16);
          }
          near(activated(args.activation, sum), get(args.y, n, i, j), args, args.y.bfloat16);
        }
      }
    }
  }

  private static void near(double expected, float actual, MatmulArgs args, boolean bfloat16) {
    double sumError = 2e-7 * Math.sqrt(args.inner) * Math.max(4, Math.sqrt(args.inner));
    double rounding = bfloat16 ? Math.abs(expected) * 0x1p-8 : 0;
    assertEquals(expected, actual, sumError + rounding);
  }

  private static double activated(Activation f, double x) {
    return switch (f) {
      case NONE -> x;
      case RELU -> Math.max(x, 0);
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case GELU_ERF -> 0.5 * x * (1 + VectorMathTest.erf(x / Math.sqrt(2)));
    };
  }

  private static float[] values(MatrixView x, int batch, int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = get(x, batch, i / columns, i % columns);
    }
    return values;
  }

  private static float[][] numbers(MatrixView y, MatmulArgs args) {
    float[][] numbers = new float[args.batch][];
    for (int n = 0; n < args.batch; n++) {
      numbers[n] = values(y, n, args.rows, args.columns);
    }
    return numbers;
  }

  private static byte[] beside(MatrixView y, MatmulArgs args) {
    byte[] all = y.data.toArray(ValueLayout.JAVA_BYTE);
    for (int n = 0; n < args.batch; n++) {
      for (int i = 0; i < args.rows; i++) {
        int from = (int) y.byteOffset(n, i, 0);
        Arrays.fill(all, from, from + args.columns * y.elementBytes(), (byte) 0);
      }
    }
    return all;
  }

  // ---- right

  @ParameterizedTest
  @EnumSource
  void everyLayoutOfOperandsAndTypeOfResult(Form form) {
    for (Form other : Form.values()) {
      for (boolean bfloat16 : new boolean[] {false, true}) {
        check(args(new int[] {1, 131, 77, 67}, form, other, bfloat16));
        MatmulArgs added = args(new int[] {1, 67, 131, 130}, form, other, bfloat16);
        added.accumulate = true;
        check(added);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 16, 1024, 16",
    "1, 1027, 33, 17",
    "1, 300, 128, 515",
    "1, 129, 768, 300",
    "3, 65, 64, 65",
    "1, 16, 17, 2051"
  })
  void oddSizes(int batch, int rows, int inner, int columns) {
    int[] shape = {batch, rows, inner, columns};
    check(args(shape, Form.ROWS, Form.ROWS, true));
    check(args(shape, Form.COLUMNS, Form.COLUMNS, false));
  }

  @ParameterizedTest
  @EnumSource
  void biasAndActivationAndWhatGoesIntoIt(Activation activation) {
    for (boolean bfloat16 : new boolean[] {false, true}) {
      for (boolean keeps : new boolean[] {false, true}) {
        int[] shape = {1, 301, 65, 131};
        MatmulArgs args = args(shape, Form.ROWS, Form.ROWS, bfloat16);
        args.bias = matrix(Form.ROWS, 1, 1, shape[3], false);
        args.activation = activation;
        if (keeps) {
          args.preActivation = matrix(Form.ROWS, 1, shape[1], shape[3], bfloat16);
        }
        check(args);
      }
    }
    MatmulArgs rounded = args(new int[] {1, 40, 90, 131}, Form.ROWS, Form.COLUMNS, true);
    rounded.bias = matrix(Form.ROWS, 1, 1, 131, true);
    rounded.activation = activation;
    check(rounded);
  }

  // ---- the same

  @ParameterizedTest
  @CsvSource({
    "768, 128, 384",
    "384, 4096, 130",
    "1025, 65, 515",
    "256, 768, 2304",
    "20, 3000, 129"
  })
  void bitsDoNotDependOnThreads(int rows, int inner, int columns) {
    for (Form form : Form.values()) {
      for (boolean activates : new boolean[] {false, true}) {
        MatmulArgs args = args(new int[] {1, rows, inner, columns}, form, form, true);
        args.activation = activates ? Activation.GELU_TANH : Activation.NONE;
        byte[] expected = bytes(args, 1);
        for (int threads : new int[] {2, 3, 8}) {
          assertArrayEquals(expected, bytes(args, threads), threads + " threads");
        }
      }
    }
  }

  private byte[] bytes(MatmulArgs args, int threads) {
    args.y.data.fill((byte) 0);
    try (var workers = new Workers(threads)) {
      oneDnn.run(workers, args);
    }
    return args.y.data.toArray(ValueLayout.JAVA_BYTE);
  }

  @Test
  void startsNoThreads() throws IOException {
    try (var workers = new Workers(2)) {
      long before = threads();
      for (int i = 0; i < 20; i++) {
        oneDnn.run(workers, args(new int[] {1, 512 + i, 256, 512}, Form.ROWS, Form.ROWS, true));
      }
      assertEquals(before, threads());
    }
  }

  private static long threads() throws IOException {
    try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
      assertTrue(lines.anyMatch(line -> line.contains("libgomp")), "OpenMP is loaded");
    }
    try (var threads = Files.list(Path.of("/proc/self/task"))) {
      // A thread that OpenMP starts bears the name of the one that started it.
      return threads
          .filter(
              thread -> name(thread).startsWith("fornax-cpu") || name(thread).startsWith("main"))
          .count();
    }
  }

  private static String name(Path thread) {
    try {
      return Files.readString(thread.resolve("comm"));
    } catch (IOException _) {
      return ""; // has ended meanwhile
    }
  }

  // ---- what it leaves to Java

  @Test
  void leavesToJavaWhatIsNotBfloat16() {
    int[] shape = {1, 128, 128, 128};
    MatrixView rounded = matrix(Form.ROWS, 1, 128, 128, true);
    MatrixView exact = matrix(Form.ROWS, 1, 128, 128, false);
    assertTrue(OneDnnMatmul.takes(new MatmulArgs(shape, rounded, rounded, exact)));
    assertFalse(OneDnnMatmul.takes(new MatmulArgs(shape, exact, rounded, exact)));
    assertFalse(OneDnnMatmul.takes(new MatmulArgs(shape, rounded, exact, exact)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"8,512,512", "512,8,512", "512,512,8", "60,60,60"})
  void leavesToJavaWhatIsSmall(String sizes) {
    String[] d = sizes.split(",");
    int[] shape = {1, Integer.parseInt(d[0]), Integer.parseInt(d[1]), Integer.parseInt(d[2])};
    assertFalse(OneDnnMatmul.takes(args(shape, Form.ROWS, Form.ROWS, true)));
  }

  @Test
  void leavesToJavaWhatOverlapsOrIsStrided() {
    int[] shape = {1, 128, 128, 128};
    MatrixView b = matrix(Form.ROWS, 1, 128, 128, true);
    MatrixView y = matrix(Form.ROWS, 1, 128, 128, true);
    MemorySegment data = arena.allocate(4 * 128 * 128, 64);
    for (MatrixView a :
        new MatrixView[] {
          MatrixView.ofBfloat16(data, 0, 256, 2), // every other column
          MatrixView.ofBfloat16(data, 0, 0, 1), // one row for all
          MatrixView.ofBfloat16(data, 0, 1, 1) // windows
        }) {
      assertFalse(OneDnnMatmul.takes(new MatmulArgs(shape, a, b, y)));
    }
  }

  @Test
  void cutsByShapeIntoBlocksOfAllOfY() {
    for (int[] shape :
        new int[][] {
          {1, 16, 16, 1024}, {1, 4096, 384, 1152}, {1, 256, 768, 50257}, {7, 33, 64, 200}
        }) {
      MatmulArgs args = args(shape, Form.ROWS, Form.ROWS, true);
      OneDnnMatmul.Cut cut = OneDnnMatmul.Cut.of(args);
      assertTrue(cut.rows() * cut.rowBlocks() >= args.rows);
      assertTrue(cut.rows() * (cut.rowBlocks() - 1) < args.rows);
      assertTrue(cut.columns() * cut.columnBlocks() >= args.columns);
      assertTrue(cut.columns() * (cut.columnBlocks() - 1) < args.columns);
    }
  }
}
