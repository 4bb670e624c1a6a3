package fornax.benchmarks;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/// The same matrix products here and in PyTorch, turn by turn in one process.
///
/// Usage: `MatmulPeers THREADS`; prints `FORM SIZE OURS THEIRS` in GFLOP/s.
final class MatmulPeers {
  private static final int ROUNDS = 12;
  private static final long TURN_NANOS = 60_000_000;
  private static final double TOLERANCE = 1e-4;

  private static final List<String> SIZES =
      List.of(
          "384x384x384",
          "768x768x768",
          "1536x1536x1536",
          "256x768x2304",
          "256x768x3072",
          "256x3072x768",
          "4096x384x1536",
          "256x768x50257");

  private MatmulPeers() {}

  public static void main(String[] args) {
    torch.set_num_threads(Integer.parseInt(args[0]));
    try (Backend backend = Backends.open("cpu").backend()) {
      for (String size : SIZES) {
        long[] d = OpBenchmark.dims(size);
        compare(backend, "forward", size, new Product(d[0], d[1], d[2], false, false));
        compare(backend, "inputGradient", size, new Product(d[0], d[2], d[1], false, true));
        compare(backend, "weightGradient", size, new Product(d[1], d[0], d[2], true, false));
      }
    }
    System.out.flush();
    Runtime.getRuntime().halt(0); // PyTorch's threads do not end by themselves
  }

  /// `[m, k]·[k, n]`, the operands stored transposed where it says so.
  private record Product(long m, long k, long n, boolean leftStored, boolean rightStored) {
    Shape left() {
      return leftStored ? Shape.of(k, m) : Shape.of(m, k);
    }

    Shape right() {
      return rightStored ? Shape.of(n, k) : Shape.of(k, n);
    }

    double flops() {
      return 2.0 * m * k * n;
    }
  }

  private static void compare(Backend backend, String form, String size, Product product) {
    var random = new Random(3);
    float[] left = normals(random, product.left());
    float[] right = normals(random, product.right());
    try (var arrays = new Workspace(backend.memory())) {
      NdArray a = upload(backend, arrays, left, product.left());
      NdArray b = upload(backend, arrays, right, product.right());
      NdArray y = arrays.allocate(DType.F32, Shape.of(product.m(), product.n()));
      NdArray aView = product.leftStored() ? a.transpose() : a;
      NdArray bView = product.rightStored() ? b.transpose() : b;
      Tensor ta = torch.tensor(left).view(dims(product.left()));
      Tensor tb = torch.tensor(right).view(dims(product.right()));
      Tensor taView = product.leftStored() ? ta.t() : ta;
      Tensor tbView = product.rightStored() ? tb.t() : tb;
      Tensor ty = torch.empty(product.m(), product.n());
      Runnable ours = () -> backend.matmul(aView, bView, y, false);
      Runnable theirs =
          () -> {
            Tensor _ = torch.mm_out(ty, taView, tbView);
          };
      ours.run();
      theirs.run();
      check(backend, y, ty, product);
      double oursBest = Double.POSITIVE_INFINITY;
      double theirsBest = Double.POSITIVE_INFINITY;
      for (int i = 0; i < ROUNDS; i++) {
        oursBest = Math.min(oursBest, best(ours));
        theirsBest = Math.min(theirsBest, best(theirs));
      }
      System.out.printf(
          Locale.ROOT,
          "%s %s %.1f %.1f%n",
          form,
          size,
          product.flops() / oursBest,
          product.flops() / theirsBest);
      List.of(ta, tb, taView, tbView, ty).forEach(Tensor::close);
    }
  }

  private static float[] normals(Random random, Shape shape) {
    float[] values = new float[Math.toIntExact(shape.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static NdArray upload(Backend backend, Workspace work, float[] values, Shape shape) {
    NdArray array = work.allocate(DType.F32, shape);
    backend.upload(MemorySegment.ofArray(values), array);
    return array;
  }

  private static long[] dims(Shape shape) {
    return new long[] {shape.dim(0), shape.dim(1)};
  }

  private static void check(Backend backend, NdArray y, Tensor ty, Product product) {
    MemorySegment values = backend.readback(y).await();
    for (long i = 0; i < product.m(); i += Math.max(1, product.m() / 7)) {
      for (long j = 0; j < product.n(); j += Math.max(1, product.n() / 11)) {
        float our =
            values.getAtIndex(
                java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED, i * product.n() + j);
        try (Tensor row = ty.select(0, i);
            Tensor element = row.select(0, j)) {
          float their = element.item_float();
          if (!(Math.abs(our - their) <= TOLERANCE * Math.sqrt(product.k()) + 1e-3)) {
            throw new IllegalStateException(
                "matmul: results differ at " + i + ", " + j + ": " + our + " and " + their);
          }
        }
      }
    }
  }

  private static double best(Runnable call) {
    long best = Long.MAX_VALUE;
    long start = System.nanoTime();
    long now = start;
    do {
      long before = now;
      call.run();
      now = System.nanoTime();
      best = Math.min(best, now - before);
    } while (now - start < TURN_NANOS);
    return best;
  }
}
