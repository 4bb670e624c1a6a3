package fornax.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.SplittableRandom;

/// Computes small products and attentions, again and again, and prints the digest of all results:
/// one line if every round gave the same bits. [KernelTiersTest] runs it in JVMs of its own.
final class KernelDigest {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;

  private final MessageDigest digest = MessageDigest.getInstance("SHA-256");
  private final SplittableRandom random = new SplittableRandom(3);
  private final Arena arena = Arena.ofAuto();

  private KernelDigest() throws NoSuchAlgorithmException {}

  /// Runs as many rounds as its argument says.
  public static void main(String[] arguments) throws NoSuchAlgorithmException {
    String last = "";
    try (var workers = new Workers(2)) {
      for (int round = Integer.parseInt(arguments[0]); round > 0; round--) {
        String now = new KernelDigest().round(workers);
        if (!now.equals(last)) {
          System.out.println(now);
        }
        last = now;
      }
    }
  }

  private String round(Workers workers) {
    int[][] shapes = {
      {13, 40, 35}, {1, 50, 40}, {1, 64, 41}, {3, 50, 40}, {30, 100, 1}, {64, 32, 64}
    };
    for (int[] shape : shapes) {
      for (Activation activation : Activation.values()) {
        product(workers, shape[0], shape[1], shape[2], activation);
      }
    }
    attention(workers, 33, 16);
    attention(workers, 40, 5);
    return HexFormat.of().formatHex(digest.digest());
  }

  private void product(Workers workers, int rows, int inner, int columns, Activation activation) {
    MatrixView a = MatrixView.ofFloat32(floats((long) rows * inner), 0, inner, 1);
    MemorySegment b = floats((long) inner * columns);
    MatrixView y = MatrixView.ofFloat32(floats((long) rows * columns), 0, columns, 1);
    for (MatrixView view :
        new MatrixView[] {
          MatrixView.ofFloat32(b, 0, columns, 1), MatrixView.ofFloat32(b, 0, 1, inner)
        }) {
      var args = new MatmulArgs(new int[] {1, rows, inner, columns}, a, view, y);
      args.activation = activation;
      Matmul.run(workers, args);
      digest.update(y.data.toArray(ValueLayout.JAVA_BYTE));
    }
  }

  private void attention(Workers workers, int length, int width) {
    var views = new HeadsView[8];
    for (int i = 0; i < views.length; i++) {
      views[i] = HeadsView.ofFloat32(floats((long) length * width), 0, 0, 0, width);
    }
    var size = new AttentionArgs.Sizes(1, 1, length, length, width, width);
    MemorySegment logSumExp = floats(length);
    var args =
        new AttentionArgs(
            size,
            true,
            0.3f,
            AttentionFilter.NONE,
            views[0],
            views[1],
            views[2],
            views[3],
            logSumExp,
            0);
    var gradients = new AttentionArgs.Gradients(views[4], views[5], views[6], views[7]);
    Attention.forward(workers, args);
    Attention.backward(workers, args, gradients);
    for (HeadsView view : views) {
      digest.update(view.data().toArray(ValueLayout.JAVA_BYTE));
    }
    digest.update(logSumExp.toArray(ValueLayout.JAVA_BYTE));
  }

  private MemorySegment floats(long count) {
    MemorySegment data = arena.allocate(count * 4, 64);
    for (long i = 0; i < count; i++) {
      data.setAtIndex(FLOAT, i, (float) random.nextDouble(-1, 1));
    }
    return data;
  }
}
