package fornax.opencl;

import fornax.array.Layout;
import fornax.array.Loops;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Launches `matmul.cl`, or calls CLBlast where that was chosen and can do it.
final class Matmul {
  private static final long MOST_CALLS = 16; // of CLBlast for one batch

  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;
  private final @Nullable ClBlast clBlast;

  Matmul(OpenClQueue queue, Tuning tuning, Memory memory, @Nullable ClBlast clBlast) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
    this.clBlast = clBlast;
  }

  void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate) {
    ClBlast library = clBlast;
    if (library == null || !usesClBlast(a, b, y)) {
      launch("matmul", a, b, y, null, null, null, accumulate);
      return;
    }
    Loops batch = Loops.of(batch(a), batch(b), batch(y));
    for (long run = 0; run < batch.runs(); run++) {
      for (long i = 0; i < batch.runLength(); i++) {
        long[] from = new long[3];
        for (int operand = 0; operand < from.length; operand++) {
          from[operand] = batch.start(operand, run) + i * batch.runStride(operand);
        }
        library.matmul(queue, memory, "matmul", a, b, y, from, accumulate);
      }
    }
  }

  /// Whether [#matmul] of these arrays calls CLBlast.
  boolean usesClBlast(NdArray a, NdArray b, NdArray y) {
    return clBlast != null
        && ClBlast.takes(a, b, y)
        && y.elements() / (y.dim(-2) * y.dim(-1)) <= MOST_CALLS;
  }

  void linear(
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      NdArray y,
      @Nullable NdArray before) {
    launch("linear", x, w, y, bias, activation, before, false);
  }

  private void launch(
      String op,
      NdArray a,
      NdArray b,
      NdArray y,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      @Nullable NdArray before,
      boolean accumulate) {
    if (y.elements() == 0) {
      return;
    }
    KernelLoops batch = KernelLoops.of(op, batch(a), batch(b), batch(y));
    long m = y.dim(-2);
    long n = y.dim(-1);
    Tuning.Tile tile = tile(m, n, batch.count());
    NdArray biasOrAny = bias == null ? y : bias;
    NdArray beforeOrAny = before == null ? y : before;
    String options =
        Types.option(op, "A", a)
            + Types.option(op, "B", b)
            + Types.option(op, "Y", y)
            + Types.option(op, "BIAS", biasOrAny)
            + Types.option(op, "BEFORE", beforeOrAny)
            + " -D ACT="
            + (activation == null ? "NONE" : activation)
            + " -D A_ALONG_K="
            + (Math.abs(a.layout().stride(-1)) <= Math.abs(a.layout().stride(-2)) ? 1 : 0)
            + " -D B_ALONG_N="
            + (Math.abs(b.layout().stride(-1)) <= Math.abs(b.layout().stride(-2)) ? 1 : 0)
            + " "
            + tile.options();
    queue.launch(
        op,
        Kernel.Spec.of("matmul", "matmul", options),
        new Grid(
            Grid.ceilDiv(n, tile.columns()),
            Grid.ceilDiv(m, tile.rows()),
            batch.count(),
            tile.ln(),
            tile.lm()),
        a,
        b,
        y,
        biasOrAny,
        beforeOrAny,
        new Sizes(
            List.of(
                m,
                n,
                a.dim(-1),
                a.layout().stride(-2),
                a.layout().stride(-1),
                b.layout().stride(-2),
                b.layout().stride(-1),
                y.layout().stride(-2),
                y.layout().stride(-1),
                bias == null ? 0L : bias.layout().stride(0)),
            accumulate,
            bias != null,
            before != null,
            Math.max(reach(a), Math.max(reach(b), reach(y)))),
        batch);
  }

  // The largest tile that still gives every compute unit two groups.
  private Tuning.Tile tile(long m, long n, long batch) {
    List<Tuning.Tile> tiles = tuning.matmul();
    for (Tuning.Tile tile : tiles.reversed()) {
      long groups = Grid.ceilDiv(m, tile.rows()) * Grid.ceilDiv(n, tile.columns()) * batch;
      if (groups >= 2L * queue.device().units()) {
        return tile;
      }
    }
    return tiles.getFirst();
  }

  // Where the matrices of the last two axes start.
  private static Layout batch(NdArray x) {
    return Layout.of(x.shape().leading(-2), Arrays.copyOf(x.layout().strides(), x.rank() - 2), 0);
  }

  // How far the elements of one matrix lie apart.
  private static long reach(NdArray x) {
    return Math.abs(x.layout().stride(-2)) * x.dim(-2)
        + Math.abs(x.layout().stride(-1)) * x.dim(-1);
  }

  /// The structure `Matmul` of `matmul.cl`.
  private record Sizes(
      List<Long> numbers, boolean accumulate, boolean hasBias, boolean hasBefore, long reach)
      implements Argument {
    @Override
    public boolean isWide() {
      return reach > Integer.MAX_VALUE / 2;
    }

    @Override
    public void write(ByteBuffer to, boolean wide) {
      for (long number : numbers) {
        if (wide) {
          to.putLong(number);
        } else {
          to.putInt((int) number);
        }
      }
      to.putInt(accumulate ? 1 : 0).putInt(hasBias ? 1 : 0).putInt(hasBefore ? 1 : 0);
      if (wide) {
        to.putInt(0); // the structure ends on a multiple of 8
      }
    }
  }
}
