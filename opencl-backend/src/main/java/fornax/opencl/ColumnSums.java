package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import org.jspecify.annotations.Nullable;

/// Launches `columnsums.cl`.
final class ColumnSums {
  /// The rows that one work-item adds up.
  static final long CHUNK = 64;

  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;

  ColumnSums(OpenClQueue queue, Tuning tuning, Memory memory) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
  }

  /// How many chunks `rows` rows have.
  static long chunks(long rows) {
    return Grid.ceilDiv(rows, CHUNK);
  }

  /// `y` (+)= the sum of the rows of `partial`.
  void finish(String op, NdArray partial, NdArray y, boolean accumulate) {
    queue.launch(
        op,
        Kernel.Spec.of("columnsums", "finish", Types.option(op, "Y", y)),
        Grid.items(y.elements(), tuning.narrow()),
        partial,
        y,
        partial.dim(0),
        partial.dim(1),
        accumulate ? 1 : 0);
  }

  void biasActivationGradient(
      @Nullable Unary activation,
      @Nullable NdArray before,
      @Nullable NdArray y,
      NdArray dy,
      NdArray dBefore,
      @Nullable NdArray dBias,
      boolean accumulate) {
    if (activation == null && dBias == null) {
      return;
    }
    String op = "biasActivationGradient";
    NdArray beforeOrAny = before == null ? dy : before;
    NdArray yOrAny = y == null ? dy : y;
    long rows = dy.dim(0);
    long columns = dy.dim(1);
    try (var work = new Workspace(memory)) {
      NdArray partial =
          work.allocate(DType.F32, Shape.of(dBias == null ? 0 : chunks(rows), columns));
      queue.launch(
          op,
          Kernel.Spec.of(
              "columnsums",
              "bias_activation_gradient",
              (activation == null ? "" : "-D ACT=" + activation)
                  + Types.option(op, "BEFORE", beforeOrAny)
                  + Types.option(op, "Y", yOrAny)
                  + Types.option(op, "DY", dy)
                  + Types.option(op, "D", dBefore)),
          Grid.items(columns, chunks(rows), tuning.narrow()),
          beforeOrAny,
          yOrAny,
          dy,
          dBefore,
          partial,
          rows,
          columns,
          CHUNK,
          dBias == null ? 0 : 1);
      if (dBias != null) {
        finish(op, partial, dBias, accumulate);
      }
    }
  }
}
