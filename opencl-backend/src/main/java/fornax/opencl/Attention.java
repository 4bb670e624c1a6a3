package fornax.opencl;

import fornax.array.DType;
import fornax.backend.AttentionOptions;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import fornax.backend.Workspace;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/// Launches `attention.cl`.
final class Attention {
  private static final int[][] TILES = {{32, 4}, {16, 4}, {8, 8}}; // rows, work-items of a row

  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;

  Attention(OpenClQueue queue, Tuning tuning, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
  }

  /// Whether heads of this size fit into local memory.
  boolean fits(NdArray q, NdArray v) {
    return tile(q.dim(3), v.dim(3)) != null;
  }

  // The largest tile whose arrays fit into local memory, with a part left to the driver.
  private int @Nullable [] tile(long d, long e) {
    for (int[] tile : TILES) {
      long rows = tile[0];
      long floats = 2 * rows * (d + 1) + 2 * rows * (e + 1) + 2 * rows * (rows + 1);
      if (4 * floats + 512 <= queue.device().localBytes()
          && rows * tile[1] <= queue.device().groupLimit()) {
        return tile;
      }
    }
    return null;
  }

  void attention(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp) {
    String op = "attention";
    NdArray maskOrAny = mask == null ? q : mask;
    NdArray state = options.state();
    NdArray stateOrAny = state == null ? logSumExp : state;
    launch(
        op,
        "attention",
        inputs(op, q, k, v, options) + Types.option(op, "Y", y),
        q.dim(2),
        q,
        v,
        q,
        k,
        v,
        maskOrAny,
        stateOrAny,
        y,
        logSumExp,
        new Sizes(q, k, v, mask, options, y, null, null, null, null));
  }

  void gradient(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      NdArray logSumExp,
      NdArray dy,
      NdArray dq,
      NdArray dk,
      NdArray dv) {
    String op = "attentionGradient";
    NdArray maskOrAny = mask == null ? q : mask;
    NdArray state = options.state();
    NdArray stateOrAny = state == null ? logSumExp : state;
    Sizes sizes = new Sizes(q, k, v, mask, options, y, dy, dq, dk, dv);
    String options1 = inputs(op, q, k, v, options) + Types.option(op, "DY", dy);
    try (var work = new Workspace(memory)) {
      NdArray delta = work.allocate(DType.F32, logSumExp.shape());
      queue.launch(
          op,
          Kernel.Spec.of(
              "attention",
              "attention_delta",
              "-D TILE=1 -D LANES=1 -D DROPOUT=0 -D D=1 -D E="
                  + v.dim(3)
                  + Types.option(op, "Y", y)
                  + Types.option(op, "DY", dy)),
          Grid.items(q.dim(2), q.dim(0) * q.dim(1), tuning.narrow()),
          y,
          dy,
          delta,
          sizes);
      launch(
          op,
          "attention_gradient_q",
          options1 + Types.option(op, "DQ", dq),
          q.dim(2),
          q,
          v,
          q,
          k,
          v,
          maskOrAny,
          stateOrAny,
          dy,
          logSumExp,
          delta,
          dq,
          sizes);
      launch(
          op,
          "attention_gradient_kv",
          options1 + Types.option(op, "DK", dk) + Types.option(op, "DV", dv),
          k.dim(2),
          q,
          v,
          q,
          k,
          v,
          maskOrAny,
          stateOrAny,
          dy,
          logSumExp,
          delta,
          dk,
          dv,
          sizes);
    }
  }

  private static String inputs(
      String op, NdArray q, NdArray k, NdArray v, AttentionOptions options) {
    return Types.option(op, "Q", q)
        + Types.option(op, "K", k)
        + Types.option(op, "V", v)
        + " -D DROPOUT="
        + (options.state() == null ? 0 : 1);
  }

  private void launch(
      String op,
      String kernel,
      String options,
      long rows,
      NdArray q,
      NdArray v,
      Object... arguments) {
    int[] tile = tile(q.dim(3), v.dim(3));
    if (tile == null) {
      throw new IllegalStateException(op + ": heads do not fit; got " + q + " and " + v);
    }
    queue.launch(
        op,
        Kernel.Spec.of(
            "attention",
            kernel,
            "-D TILE="
                + tile[0]
                + " -D LANES="
                + tile[1]
                + " -D D="
                + q.dim(3)
                + " -D E="
                + v.dim(3)
                + options),
        Grid.groups(Grid.ceilDiv(rows, tile[0]), q.dim(0) * q.dim(1), tile[0] * tile[1]),
        arguments);
  }

  /// The structure `Attention` of `attention.cl`.
  private record Sizes(
      NdArray q,
      NdArray k,
      NdArray v,
      @Nullable NdArray mask,
      AttentionOptions options,
      NdArray y,
      @Nullable NdArray dy,
      @Nullable NdArray dq,
      @Nullable NdArray dk,
      @Nullable NdArray dv)
      implements Argument {
    @Override
    public boolean isWide() {
      for (@Nullable NdArray array : new @Nullable NdArray[] {q, k, v, mask, y, dy, dq, dk, dv}) {
        if (array != null) {
          long reach = 0;
          for (int axis = 0; axis < array.rank(); axis++) {
            reach += Math.abs(array.layout().stride(axis)) * array.dim(axis);
          }
          if (reach > Integer.MAX_VALUE) {
            return true;
          }
        }
      }
      return false;
    }

    @Override
    public void write(ByteBuffer to, boolean wide) {
      put(to, wide, q.dim(2));
      put(to, wide, k.dim(2));
      put(to, wide, q.dim(1));
      for (int axis = 0; axis < 4; axis++) {
        put(to, wide, mask == null ? 0 : mask.layout().stride(axis));
      }
      for (@Nullable NdArray array : new @Nullable NdArray[] {q, k, v, y, dy, dq, dk, dv}) {
        for (int axis = 0; axis < 3; axis++) {
          put(to, wide, array == null ? 0 : array.layout().stride(axis));
        }
      }
      to.putFloat((float) options.scale());
      to.putFloat((float) (1 / (1 - options.dropout())));
      to.putInt(options.causal() ? 1 : 0);
      to.putInt(mask == null ? 0 : 1);
      to.putInt(options.stream());
      to.putInt(Philox.keepThreshold(options.dropout()));
    }

    private static void put(ByteBuffer to, boolean wide, long value) {
      if (wide) {
        to.putLong(value);
      } else {
        to.putInt((int) value);
      }
    }
  }
}
