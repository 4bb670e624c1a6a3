package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AttentionTest {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;

  private final Arena arena = Arena.ofAuto();
  private final SplittableRandom random = new SplittableRandom(5);

  /// The arguments of one case, in the layout of a fused `[batch, rows, 3, heads, width]`.
  private final class Case {
    final AttentionArgs args;
    final AttentionArgs.Gradients gradients;

    Case(AttentionArgs.Sizes size, boolean causal, boolean bfloat16) {
      HeadsView q = heads(size, size.queries(), size.width(), bfloat16);
      HeadsView k = heads(size, size.keys(), size.width(), bfloat16);
      HeadsView v = heads(size, size.keys(), size.valueWidth(), bfloat16);
      HeadsView y = heads(size, size.queries(), size.valueWidth(), bfloat16);
      MemorySegment lse = floats((long) size.batch() * size.heads() * size.queries() + 2);
      float scale = (float) (1 / Math.sqrt(size.width()));
      args = new AttentionArgs(size, causal, scale, AttentionFilter.NONE, q, k, v, y, lse, 8);
      gradients =
          new AttentionArgs.Gradients(
              heads(size, size.queries(), size.valueWidth(), bfloat16),
              heads(size, size.queries(), size.width(), bfloat16),
              heads(size, size.keys(), size.width(), bfloat16),
              heads(size, size.keys(), size.valueWidth(), bfloat16));
    }

    private HeadsView heads(AttentionArgs.Sizes size, int rows, int width, boolean bfloat16) {
      long row = 3L * size.heads() * width;
      long elements = row * Math.max(1, rows) * size.batch() + 1;
      MemorySegment data;
      if (bfloat16) {
        data = arena.allocate(elements * 2, 64);
        for (long i = 0; i < elements; i++) {
          data.setAtIndex(SHORT, i, DType.toBFloat16((float) random.nextDouble(-2, 2)));
        }
      } else {
        data = floats(elements);
      }
      long offset = 1 + (long) size.heads() * width;
      return new HeadsView(data, bfloat16, offset, row * rows, width, row);
    }

    private MemorySegment floats(long elements) {
      MemorySegment data = arena.allocate(elements * 4, 64);
      for (long i = 0; i < elements; i++) {
        data.setAtIndex(FLOAT, i, (float) random.nextDouble(-2, 2));
      }
      return data;
    }

    byte[][] outputs() {
      return new byte[][] {
        args.y().data().toArray(ValueLayout.JAVA_BYTE),
        args.logSumExp().toArray(ValueLayout.JAVA_BYTE),
        gradients.dq().data().toArray(ValueLayout.JAVA_BYTE),
        gradients.dk().data().toArray(ValueLayout.JAVA_BYTE),
        gradients.dv().data().toArray(ValueLayout.JAVA_BYTE)
      };
    }

    void run(Workers workers) {
      Attention.forward(workers, args);
      Attention.backward(workers, args, gradients);
    }

    void runScalar(Workers workers) {
      var matmul = new MatmulKernels();
      var loops = new AttentionKernels(matmul.tileColumns());
      Attention.forward(workers, args, matmul, loops);
      Attention.backward(workers, args, gradients, matmul, loops);
    }
  }

  private static double get(HeadsView view, int batch, int head, int row, int column) {
    long at = view.byteOffset(batch, head, row) + (long) column * view.elementBytes();
    return view.bfloat16()
        ? DType.fromBFloat16(view.data().get(SHORT, at))
        : view.data().get(FLOAT, at);
  }

  private static double[][] matrix(HeadsView view, int batch, int head, int rows, int columns) {
    double[][] x = new double[rows][columns];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        x[i][j] = get(view, batch, head, i, j);
      }
    }
    return x;
  }

  /// Compares with sums in double; returns nothing, fails at the first difference.
  private static void check(Case c) {
    AttentionArgs.Sizes size = c.args.sizes();
    for (int b = 0; b < size.batch(); b++) {
      for (int h = 0; h < size.heads(); h++) {
        checkHead(c, b, h);
      }
    }
  }

  private static void checkHead(Case c, int b, int h) {
    AttentionArgs args = c.args;
    AttentionArgs.Sizes size = args.sizes();
    int n = size.queries();
    int m = size.keys();
    int d = size.width();
    int e = size.valueWidth();
    double[][] q = matrix(args.q(), b, h, n, d);
    double[][] k = matrix(args.k(), b, h, m, d);
    double[][] v = matrix(args.v(), b, h, m, e);
    double[][] dy = matrix(c.gradients.dy(), b, h, n, e);
    double[][] y = new double[n][e];
    double[][] dq = new double[n][d];
    double[][] dk = new double[m][d];
    double[][] dv = new double[m][e];
    double[][] lse = new double[n][1];
    for (int i = 0; i < n; i++) {
      int seen = Math.clamp((long) (args.causal() ? i + m - n + 1 : m), 0, m);
      double[] p = new double[seen];
      double max = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < seen; j++) {
        for (int x = 0; x < d; x++) {
          p[j] += q[i][x] * k[j][x] * args.scale();
        }
        max = Math.max(max, p[j]);
      }
      double sum = 0;
      for (int j = 0; j < seen; j++) {
        p[j] = Math.exp(p[j] - max);
        sum += p[j];
      }
      lse[i][0] = seen == 0 ? Double.NEGATIVE_INFINITY : max + Math.log(sum);
      double delta = 0;
      double[] dp = new double[seen];
      for (int j = 0; j < seen; j++) {
        p[j] /= sum;
        for (int x = 0; x < e; x++) {
          y[i][x] += p[j] * v[j][x];
          dv[j][x] += p[j] * dy[i][x];
          dp[j] += dy[i][x] * v[j][x];
        }
        delta += p[j] * dp[j];
      }
      for (int j = 0; j < seen; j++) {
        double ds = p[j] * (dp[j] - delta) * args.scale();
        for (int x = 0; x < d; x++) {
          dq[i][x] += ds * k[j][x];
          dk[j][x] += ds * q[i][x];
        }
      }
    }
    String name = size + (args.causal() ? " causal" : "") + " head " + b + ", " + h;
    compare(y, args.y(), b, h, "y " + name);
    compare(dq, c.gradients.dq(), b, h, "dq " + name);
    compare(dk, c.gradients.dk(), b, h, "dk " + name);
    compare(dv, c.gradients.dv(), b, h, "dv " + name);
    long rows = ((long) b * size.heads() + h) * n;
    compare(
        lse, HeadsView.ofFloat32(args.logSumExp(), 2 + rows, 0, 0, 1), 0, 0, "logSumExp " + name);
  }

  private static void compare(double[][] truth, HeadsView view, int b, int h, String name) {
    double largest =
        Arrays.stream(truth)
            .flatMapToDouble(Arrays::stream)
            .filter(Double::isFinite)
            .map(Math::abs)
            .max()
            .orElse(0);
    double tolerance = (view.bfloat16() ? 2e-2 : 1e-5) * Math.max(1, largest);
    for (int i = 0; i < truth.length; i++) {
      for (int j = 0; j < truth[i].length; j++) {
        double ours = get(view, b, h, i, j);
        if (ours != truth[i][j] && !(Math.abs(ours - truth[i][j]) <= tolerance)) {
          assertEquals(truth[i][j], ours, tolerance, name + " at " + i + ", " + j);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 12, 31, 32, 33, 64, 65, 129, 300})
  void matchesItsDefinition(int length) {
    try (var workers = new Workers(2)) {
      for (int width : new int[] {1, 5, 16, 32, 64, 80, 128}) {
        for (boolean causal : new boolean[] {false, true}) {
          var size = new AttentionArgs.Sizes(1, 2, length, length, width, width);
          var c = new Case(size, causal, false);
          c.run(workers);
          check(c);
        }
      }
    }
  }

  @Test
  void queriesAndKeysMayDiffer() {
    int[][] lengths = {{1, 77}, {77, 1}, {5, 130}, {130, 5}, {33, 64}, {64, 33}, {3, 0}, {0, 3}};
    try (var workers = new Workers(2)) {
      for (int[] length : lengths) {
        for (boolean causal : new boolean[] {false, true}) {
          var size = new AttentionArgs.Sizes(2, 3, length[0], length[1], 24, 40);
          var c = new Case(size, causal, false);
          c.run(workers);
          check(c);
          c.runScalar(workers);
          check(c);
        }
      }
    }
  }

  @Test
  void acceptsBfloat16() {
    try (var workers = new Workers(2)) {
      var c = new Case(new AttentionArgs.Sizes(2, 2, 70, 70, 32, 32), true, true);
      c.run(workers);
      check(c);
    }
  }

  @Test
  void scalarLoopsAreCorrectToo() {
    try (var workers = new Workers(2)) {
      for (boolean causal : new boolean[] {false, true}) {
        var c = new Case(new AttentionArgs.Sizes(2, 2, 130, 130, 20, 20), causal, false);
        c.runScalar(workers);
        check(c);
      }
    }
  }

  @Test
  void scalarLoopsGiveTheSameBits() {
    try (var workers = new Workers(2)) {
      for (int[] lengths : new int[][] {{33, 33}, {300, 300}, {7, 290}, {290, 7}}) {
        var size = new AttentionArgs.Sizes(1, 2, lengths[0], lengths[1], 20, 12);
        var c = new Case(size, true, false);
        c.run(workers);
        byte[][] vector = c.outputs();
        c.runScalar(workers);
        byte[][] scalar = c.outputs();
        for (int i = 0; i < vector.length; i++) {
          assertArrayEquals(vector[i], scalar[i], size + ", output " + i);
        }
      }
    }
  }

  @Test
  void writesNothingButItsOutputs() {
    try (var workers = new Workers(1)) {
      var size = new AttentionArgs.Sizes(2, 2, 37, 41, 18, 18);
      var c = new Case(size, true, false);
      float[] before = c.args.y().data().toArray(FLOAT);
      c.run(workers);
      float[] after = c.args.y().data().toArray(FLOAT);
      int row = 3 * 2 * 18;
      for (int i = 0; i < after.length; i++) {
        int column = (i - 1) % row;
        if (i == 0 || column < 36 || column >= 72) {
          assertEquals(before[i], after[i], "element " + i);
        }
      }
      assertEquals(72 * 37 * 2 / 2, changed(before, after));
    }
  }

  private static int changed(float[] before, float[] after) {
    int count = 0;
    for (int i = 0; i < before.length; i++) {
      count += before[i] != after[i] ? 1 : 0;
    }
    return count;
  }

  @Test
  void hugeScoresStayFinite() {
    try (var workers = new Workers(1)) {
      var c = new Case(new AttentionArgs.Sizes(1, 1, 40, 40, 8, 8), true, false);
      for (long i = 0; i < c.args.q().data().byteSize() / 4; i++) {
        c.args.q().data().setAtIndex(FLOAT, i, (i % 7 - 3) * 1e4f);
      }
      Attention.forward(workers, c.args);
      for (double[] row : matrix(c.args.y(), 0, 0, 40, 8)) {
        assertTrue(Arrays.stream(row).allMatch(Double::isFinite));
      }
    }
  }

  @Test
  void bitsDoNotDependOnThreads() {
    for (int[] shape :
        new int[][] {{12, 4, 64, 64, 32}, {1, 1, 700, 700, 64}, {1, 3, 5, 300, 64}}) {
      var size =
          new AttentionArgs.Sizes(shape[0], shape[1], shape[2], shape[3], shape[4], shape[4]);
      var c = new Case(size, true, false);
      byte[][] want = null;
      for (int threads : new int[] {1, 2, 3, 8}) {
        try (var workers = new Workers(threads)) {
          c.run(workers);
          byte[][] got = c.outputs();
          if (want != null) {
            for (int i = 0; i < got.length; i++) {
              assertArrayEquals(want[i], got[i], size + " with " + threads + " threads");
            }
          }
          want = got;
        }
      }
    }
  }
}
