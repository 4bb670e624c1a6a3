package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class MatmulTest {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
  private static final MatmulKernels SCALAR = new MatmulKernels();
  private static final Workers ONE = new Workers(1);
  private static final Workers TWO = new Workers(2);
  private static final Workers THREE = new Workers(3);
  private static final Workers EIGHT = new Workers(8);

  private final Arena arena = Arena.ofShared();
  private final SplittableRandom random = new SplittableRandom(7);

  @AfterEach
  void close() {
    arena.close();
  }

  @AfterAll
  static void stop() {
    for (Workers workers : new Workers[] {ONE, TWO, THREE, EIGHT}) {
      workers.close();
    }
  }

  /// How a matrix lies in memory.
  enum Form {
    ROWS,
    PADDED_ROWS,
    COLUMNS,
    STRIDED,
    BFLOAT16_ROWS,
    BFLOAT16_COLUMNS;

    boolean bfloat16() {
      return this == BFLOAT16_ROWS || this == BFLOAT16_COLUMNS;
    }
  }

  /// `batch` matrices of random numbers in the given form, three elements into their segment.
  private MatrixView matrix(Form form, int batch, int rows, int columns) {
    long rowStride =
        switch (form) {
          case ROWS, BFLOAT16_ROWS -> columns;
          case PADDED_ROWS -> columns + 5;
          case COLUMNS, BFLOAT16_COLUMNS -> 1;
          case STRIDED -> 2L * columns + 3;
        };
    long columnStride =
        switch (form) {
          case ROWS, PADDED_ROWS, BFLOAT16_ROWS -> 1;
          case COLUMNS, BFLOAT16_COLUMNS -> rows;
          case STRIDED -> 2;
        };
    long size = Math.max(rows, 1) * Math.max(rowStride, 1) + Math.max(columns, 1) * columnStride;
    long elements = 3 + size * batch;
    MatrixView view;
    if (form.bfloat16()) {
      MemorySegment data = arena.allocate(elements * 2, 64);
      for (long i = 0; i < elements; i++) {
        data.setAtIndex(SHORT, i, DType.toBFloat16((float) random.nextDouble(-1, 1)));
      }
      view = MatrixView.ofBfloat16(data, 3, rowStride, columnStride);
    } else {
      MemorySegment data = arena.allocate(elements * 4, 64);
      for (long i = 0; i < elements; i++) {
        data.setAtIndex(FLOAT, i, (float) random.nextDouble(-1, 1));
      }
      view = MatrixView.ofFloat32(data, 3, rowStride, columnStride);
    }
    return view.withBatchStride(size);
  }

  private static double get(MatrixView view, int batch, int i, int j) {
    long at = view.byteOffset(batch, i, j);
    return view.bfloat16 ? DType.fromBFloat16(view.data.get(SHORT, at)) : view.data.get(FLOAT, at);
  }

  private static double[][] rows(MatrixView view, int batch, int rows, int columns) {
    double[][] x = new double[rows][columns];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        x[i][j] = get(view, batch, i, j);
      }
    }
    return x;
  }

  /// An output with guard words between its rows.
  private MatrixView output(int batch, int rows, int columns) {
    return matrix(Form.PADDED_ROWS, batch, rows, columns);
  }

  private MatmulArgs args(int batch, int rows, int inner, int columns, Form formA, Form formB) {
    return new MatmulArgs(
        new int[] {batch, rows, inner, columns},
        matrix(formA, batch, rows, inner),
        matrix(formB, batch, inner, columns),
        output(batch, rows, columns));
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

  /// Runs and compares every element with sums in double; elements outside `y` must not change.
  private static void check(MatmulArgs args, Workers workers, MatmulKernels kernels) {
    int count = args.batch * args.rows * args.columns;
    double[] pre = new double[count];
    int at = 0;
    for (int n = 0; n < args.batch; n++) {
      double[][] a = rows(args.a, n, args.rows, args.inner);
      double[][] b = rows(args.b.transposed(), n, args.columns, args.inner);
      for (int i = 0; i < args.rows; i++) {
        for (int j = 0; j < args.columns; j++) {
          double sum = args.accumulate ? get(args.y, n, i, j) : 0;
          for (int k = 0; k < args.inner; k++) {
            sum += a[i][k] * b[j][k];
          }
          MatrixView bias = args.bias;
          pre[at++] = bias == null ? sum : sum + get(bias, 0, 0, j);
        }
      }
    }
    byte[] before = args.y.data.toArray(ValueLayout.JAVA_BYTE);
    Matmul.run(workers, args, kernels);
    double[] post = Arrays.stream(pre).map(x -> activated(args.activation, x)).toArray();
    compare(args, args.y, post, before);
    MatrixView kept = args.preActivation;
    if (kept != null) {
      compare(args, kept, pre, null);
    }
  }

  private static void compare(
      MatmulArgs args, MatrixView y, double[] truth, byte @Nullable [] before) {
    double largest = Arrays.stream(truth).map(Math::abs).max().orElse(0);
    double tolerance = 1e-5 * Math.max(1, Math.sqrt(args.inner / 128.0)) * Math.max(1, largest);
    if (y.bfloat16) {
      tolerance += largest / 256;
    }
    int at = 0;
    boolean[] mine = new boolean[(int) y.data.byteSize()];
    for (int n = 0; n < args.batch; n++) {
      for (int i = 0; i < args.rows; i++) {
        for (int j = 0; j < args.columns; j++, at++) {
          double error = Math.abs(get(y, n, i, j) - truth[at]);
          int place = at;
          assertTrue(
              error <= tolerance,
              () -> "element " + place + " of " + describe(args) + ": " + error);
          int offset = (int) y.byteOffset(n, i, j);
          Arrays.fill(mine, offset, offset + y.elementBytes(), true);
        }
      }
    }
    if (before != null) {
      byte[] after = y.data.toArray(ValueLayout.JAVA_BYTE);
      for (int i = 0; i < after.length; i++) {
        int place = i;
        assertTrue(
            mine[i] || after[i] == before[i], () -> "byte " + place + " outside y was written");
      }
    }
  }

  private static String describe(MatmulArgs args) {
    return args.batch + " x [" + args.rows + ", " + args.inner + ", " + args.columns + "]";
  }

  private void check(int batch, int rows, int inner, int columns, Form formA, Form formB) {
    check(args(batch, rows, inner, columns, formA, formB), TWO, Matmul.KERNELS);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 5, 6, 7, 8, 9, 12, 13, 16, 17, 20, 31, 32, 33, 44, 64, 127, 129})
  void oddSizes(int n) {
    for (int other : new int[] {0, 1, 3, 7, 12, 16, 31, 33, 129}) {
      check(1, n, other, 17, Form.ROWS, Form.ROWS);
      check(1, other, n, 33, Form.ROWS, Form.COLUMNS);
      check(1, 25, other, n, Form.COLUMNS, Form.ROWS);
      check(1, other, 9, n, Form.COLUMNS, Form.COLUMNS);
      check(1, n, 41, other, Form.PADDED_ROWS, Form.STRIDED);
    }
  }

  @Test
  void everyTileRemainder() {
    for (int rows = 9; rows <= 26; rows++) {
      for (int columns = 1; columns <= 66; columns++) {
        check(1, rows, 5, columns, Form.ROWS, Form.ROWS);
        check(1, rows, 5, columns, Form.COLUMNS, Form.COLUMNS);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1025, 33, 7",
    "33, 1025, 31",
    "7, 33, 1025",
    "1025, 1, 129",
    "1, 1025, 1",
    "1, 1, 1025",
    "3, 1025, 65",
    "385, 129, 31",
    "130, 769, 260",
    "1, 385, 4099",
    "390, 70, 2100"
  })
  void largeSizes(int rows, int inner, int columns) {
    for (Form formA : new Form[] {Form.ROWS, Form.COLUMNS}) {
      for (Form formB : new Form[] {Form.ROWS, Form.COLUMNS}) {
        check(1, rows, inner, columns, formA, formB);
      }
    }
  }

  @Test
  void everyPairOfForms() {
    for (Form formA : Form.values()) {
      for (Form formB : Form.values()) {
        for (int rows : new int[] {1, 6, 37}) {
          check(1, rows, 45, 50, formA, formB);
          check(2, rows, 400, 7, formA, formB);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void epilogues(Activation activation) {
    for (int rows : new int[] {1, 5, 29}) {
      for (int columns : new int[] {1, 3, 77}) {
        for (int inner : new int[] {0, 19, 500}) {
          for (int options = 0; options < 16; options++) {
            MatmulArgs args = args(2, rows, inner, columns, Form.ROWS, Form.ROWS);
            args.activation = activation;
            args.accumulate = (options & 1) != 0;
            if ((options & 2) != 0) {
              Form form = (options & 4) != 0 ? Form.BFLOAT16_ROWS : Form.ROWS;
              args.bias = matrix(form, 1, 1, columns);
            }
            if ((options & 8) != 0) {
              args.preActivation = output(2, rows, columns);
            }
            check(args, TWO, Matmul.KERNELS);
            check(args, ONE, SCALAR);
          }
        }
      }
    }
  }

  @Test
  void bfloat16Results() {
    for (int rows : new int[] {1, 5, 40}) {
      for (int inner : new int[] {3, 900}) {
        for (int options = 0; options < 4; options++) {
          MatrixView y = matrix(Form.BFLOAT16_ROWS, 2, rows, 70);
          var args =
              new MatmulArgs(
                  new int[] {2, rows, inner, 70},
                  matrix(Form.BFLOAT16_ROWS, 2, rows, inner),
                  matrix(Form.BFLOAT16_ROWS, 2, inner, 70),
                  y);
          args.accumulate = (options & 1) != 0;
          if ((options & 2) != 0) {
            args.bias = matrix(Form.ROWS, 1, 1, 70);
            args.activation = Activation.GELU_TANH;
            args.preActivation = matrix(Form.BFLOAT16_ROWS, 2, rows, 70);
          }
          check(args, TWO, Matmul.KERNELS);
          check(args, ONE, SCALAR);
        }
      }
    }
  }

  @Test
  void bfloat16ResultsAreRoundedOnce() {
    MatmulArgs wide = args(1, 30, 900, 40, Form.ROWS, Form.ROWS);
    var narrow =
        new MatmulArgs(
            new int[] {1, 30, 900, 40}, wide.a, wide.b, matrix(Form.BFLOAT16_ROWS, 1, 30, 40));
    Matmul.run(TWO, wide);
    Matmul.run(TWO, narrow);
    for (int i = 0; i < 30; i++) {
      for (int j = 0; j < 40; j++) {
        short want = DType.toBFloat16((float) get(wide.y, 0, i, j));
        assertTrue(want == DType.toBFloat16((float) get(narrow.y, 0, i, j)));
      }
    }
  }

  @Test
  void batches() {
    check(48, 64, 32, 64, Form.ROWS, Form.COLUMNS);
    check(300, 3, 5, 4, Form.ROWS, Form.ROWS);
    check(7, 65, 31, 33, Form.COLUMNS, Form.ROWS);
    check(0, 65, 31, 33, Form.COLUMNS, Form.ROWS);
  }

  @Test
  void broadcastBatchOffsets() {
    MatrixView a = matrix(Form.ROWS, 2, 20, 30);
    MatrixView b = matrix(Form.COLUMNS, 3, 30, 25);
    long sizeA = 20 * 30 + 30;
    long sizeB = 30 + 25 * 30;
    long[] offsetsA = {0, 0, 0, sizeA, sizeA, sizeA};
    long[] offsetsB = {0, sizeB, 2 * sizeB, 0, sizeB, 2 * sizeB};
    var args =
        new MatmulArgs(
            new int[] {6, 20, 30, 25},
            a.withBatchOffsets(offsetsA),
            b.withBatchOffsets(offsetsB),
            output(6, 20, 25));
    check(args, THREE, Matmul.KERNELS);
  }

  @Test
  void infinitiesAndNansStayInTheirRowsAndColumns() {
    MatmulArgs args = args(1, 14, 20, 18, Form.ROWS, Form.ROWS);
    args.a.data.set(FLOAT, args.a.byteOffset(0, 3, 4), Float.NaN);
    args.b.data.set(FLOAT, args.b.byteOffset(0, 5, 17), Float.POSITIVE_INFINITY);
    Matmul.run(ONE, args);
    for (int i = 0; i < 14; i++) {
      for (int j = 0; j < 18; j++) {
        double y = get(args.y, 0, i, j);
        assertTrue(i == 3 ? Double.isNaN(y) : j == 17 ? Double.isInfinite(y) : Double.isFinite(y));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 768, 128, 384",
    "1, 384, 768, 128",
    "48, 64, 32, 64",
    "1, 131, 1025, 77",
    "1, 1, 768, 3000",
    "1, 6, 3000, 129",
    "2, 1025, 65, 1",
    "1, 250, 500, 2500"
  })
  void bitsDoNotDependOnThreads(int batch, int rows, int inner, int columns) {
    for (Form formB : new Form[] {Form.ROWS, Form.COLUMNS, Form.BFLOAT16_ROWS}) {
      MatmulArgs args = args(batch, rows, inner, columns, Form.ROWS, formB);
      args.activation = Activation.GELU_TANH;
      args.bias = matrix(Form.ROWS, 1, 1, columns);
      byte[] want = bytes(args, workers -> Matmul.run(workers, args), ONE);
      for (Workers workers : new Workers[] {TWO, THREE, EIGHT}) {
        assertArrayEquals(want, bytes(args, w -> Matmul.run(w, args), workers), describe(args));
      }
    }
  }

  private static byte[] bytes(MatmulArgs args, Consumer<Workers> run, Workers workers) {
    args.y.data.fill((byte) 0);
    run.accept(workers);
    return args.y.data.toArray(ValueLayout.JAVA_BYTE);
  }

  @Test
  void aRowDoesNotDependOnTheOtherRows() {
    MatmulArgs many = args(1, 40, 900, 70, Form.ROWS, Form.PADDED_ROWS);
    Matmul.run(TWO, many);
    for (int row : new int[] {0, 7, 39}) {
      long at = 3 + 900L * row;
      var one =
          new MatmulArgs(
              new int[] {1, 1, 900, 70},
              MatrixView.ofFloat32(many.a.data, at, 900, 1),
              many.b,
              output(1, 1, 70));
      Matmul.run(TWO, one);
      for (int j = 0; j < 70; j++) {
        assertTrue(get(many.y, 0, row, j) == get(one.y, 0, 0, j), "row " + row + ", " + j);
      }
    }
  }

  @Test
  void scalarKernelsAreCorrectToo() {
    for (Form formA : Form.values()) {
      for (Form formB : Form.values()) {
        check(args(1, 37, 45, 50, formA, formB), TWO, SCALAR);
        check(args(2, 3, 45, 300, formA, formB), TWO, SCALAR);
      }
    }
    check(args(1, 67, 800, 515, Form.ROWS, Form.ROWS), TWO, SCALAR);
  }

  @ParameterizedTest
  @CsvSource({"67, 800, 515", "1, 100, 40", "3, 50, 2000", "200, 70, 1", "8, 17, 5"})
  void scalarKernelsGiveTheSameBits(int rows, int inner, int columns) {
    for (Form formA : Form.values()) {
      for (Form formB : Form.values()) {
        MatmulArgs args = args(1, rows, inner, columns, formA, formB);
        args.activation = Activation.GELU_ERF;
        byte[] vector = bytes(args, w -> Matmul.run(w, args), TWO);
        assertArrayEquals(vector, bytes(args, w -> Matmul.run(w, args, SCALAR), TWO));
      }
    }
  }
}
