package fornax.opencl;

import fornax.array.DType;
import fornax.backend.AttentionOptions;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Philox;
import fornax.backend.Workspace;
import java.nio.ByteBuffer;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Launches `attention.cl`.
final class Attention {
  /// How a group is laid out: see attention.cl for the letters.
  private record Tile(int rows, int lanes, int vector) {
    // Of a row of `columns` elements that is kept in vectors, one of which avoids bank conflicts.
    private long vectors(long columns) {
      return (Grid.ceilDiv(columns, vector) + 1) * vector;
    }

    long forwardFloats(long d, long e) {
      return rows * (d + 1) + d * vectors(rows) + rows * vectors(e) + rows * (rows + 1L);
    }

    long queryGradientFloats(long d, long e) {
      return rows * (d + e + 2) + (d + e) * vectors(rows) + rows * vectors(d) + rows * (rows + 1L);
    }

    long keyGradientFloats(long d, long e) {
      return queryGradientFloats(d, e) + rows * vectors(e) + rows * (rows + 1L);
    }
  }

  /// What a kernel keeps in local memory.
  private interface LocalFloats {
    long of(Tile tile, long d, long e);
  }

  private static final List<Tile> TILES =
      List.of(new Tile(32, 4, 4), new Tile(16, 4, 4), new Tile(8, 8, 4));

  /// On a processor a work-item has a row to itself, in the widest vectors.
  private static final List<Tile> PROCESSOR_TILES =
      List.of(new Tile(32, 1, 16), new Tile(16, 1, 16));

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
    return tile(Tile::keyGradientFloats, q.dim(3), v.dim(3)) != null;
  }

  // The largest tile whose arrays fit into local memory, with a part left to the driver.
  private @Nullable Tile tile(LocalFloats floats, long d, long e) {
    OpenClDevice device = queue.device();
    for (Tile tile : device.kind() == OpenClDevice.Kind.CPU ? PROCESSOR_TILES : TILES) {
      if (4 * floats.of(tile, d, e) + 512 <= device.localBytes()
          && (long) tile.rows() * tile.lanes() <= device.groupLimit()) {
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
        Tile::forwardFloats,
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
              "-D TILE=1 -D LANES=1 -D VW=1 -D DROPOUT=0 -D D=1 -D E="
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
          Tile::queryGradientFloats,
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
          Tile::keyGradientFloats,
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
      LocalFloats floats,
      String options,
      long rows,
      NdArray q,
      NdArray v,
      Object... arguments) {
    Tile tile = tile(floats, q.dim(3), v.dim(3));
    if (tile == null) {
      throw new IllegalStateException(op + ": heads do not fit; got " + q + " and " + v);
    }
    queue.launch(
        op,
        Kernel.Spec.of(
            "attention",
            kernel,
            "-D TILE="
                + tile.rows()
                + " -D LANES="
                + tile.lanes()
                + " -D VW="
                + tile.vector()
                + " -D D="
                + q.dim(3)
                + " -D E="
                + v.dim(3)
                + options),
        Grid.groups(
            Grid.ceilDiv(rows, tile.rows()), q.dim(0) * q.dim(1), tile.rows() * tile.lanes()),
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
