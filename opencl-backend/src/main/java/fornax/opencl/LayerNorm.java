package fornax.opencl;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Memory;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import org.jspecify.annotations.Nullable;

/// Launches `layernorm.cl`: layerNorm, alone or with the residual stream that it reads, and
/// rmsNorm, which has no mean.
final class LayerNorm {
  private final OpenClQueue queue;
  private final Tuning tuning;
  private final Memory memory;
  private final ColumnSums columnSums;

  LayerNorm(OpenClQueue queue, Tuning tuning, Memory memory, ColumnSums columnSums) {
    this.queue = queue;
    this.tuning = tuning;
    this.memory = memory;
    this.columnSums = columnSums;
  }

  /// rmsNorm where mean is null; addLayerNorm where a and b are not: then x gets `a + b` first.
  void normalize(
      @Nullable NdArray a,
      @Nullable NdArray b,
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      @Nullable NdArray mean,
      NdArray rstd) {
    boolean add = a != null && b != null;
    String op = add ? "addLayerNorm" : mean == null ? "rmsNorm" : "layerNorm";
    NdArray aOrAny = a == null ? x : a;
    NdArray bOrAny = b == null ? x : b;
    NdArray weightOrAny = weight == null ? x : weight;
    NdArray biasOrAny = bias == null ? x : bias;
    int group = tuning.row(x.dim(1));
    queue.launch(
        op,
        Kernel.Spec.of(
            "layernorm",
            "layer_norm",
            "-D GROUP="
                + group
                + rms(mean)
                + " -D ADD="
                + (add ? 1 : 0)
                + Types.option(op, "TERM", aOrAny)
                + Types.option(op, "ADDEND", bOrAny)
                + Types.option(op, "X", x)
                + Types.option(op, "W", weightOrAny)
                + Types.option(op, "B", biasOrAny)
                + Types.option(op, "Y", y)),
        Grid.groups(x.dim(0), group),
        aOrAny,
        bOrAny,
        x,
        weightOrAny,
        biasOrAny,
        y,
        mean == null ? rstd : mean,
        rstd,
        x.dim(1),
        (float) epsilon,
        weight == null ? 0 : 1,
        bias == null ? 0 : 1);
  }

  /// rmsNorm where mean is null.
  ///
  /// @param skip added to dx, which may be skip itself
  void gradient(
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray mean,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray skip,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    String op =
        skip != null
            ? "addLayerNormGradient"
            : mean == null ? "rmsNormGradient" : "layerNormGradient";
    NdArray meanOrAny = mean == null ? rstd : mean;
    long rows = x.dim(0);
    long columns = x.dim(1);
    int group = tuning.row(columns);
    try (var work = new Workspace(memory)) {
      NdArray rest = rstd;
      if (mean != null) {
        rest = work.allocate(DType.F32, mean.shape());
        queue.launch(
            op,
            Kernel.Spec.of(
                "layernorm", "layer_norm_rest", "-D GROUP=" + group + Types.option(op, "X", x)),
            Grid.groups(rows, group),
            x,
            mean,
            rest,
            columns);
      }
      if (dWeight != null || dBias != null) {
        long chunks = ColumnSums.chunks(rows);
        Shape shape = Shape.of(chunks, columns);
        NdArray weights = work.allocate(DType.F32, shape);
        NdArray biases = work.allocate(DType.F32, shape);
        queue.launch(
            op,
            Kernel.Spec.of(
                "layernorm",
                "layer_norm_weight_gradient",
                rms(mean) + Types.option(op, "X", x) + Types.option(op, "DY", dy)),
            Grid.items(columns, chunks, tuning.narrow()),
            x,
            meanOrAny,
            rest,
            rstd,
            dy,
            weights,
            biases,
            rows,
            columns,
            ColumnSums.CHUNK);
        if (dWeight != null) {
          columnSums.finish(op, weights, dWeight, accumulate);
        }
        if (dBias != null) {
          columnSums.finish(op, biases, dBias, accumulate);
        }
      }
      if (dx != null) {
        NdArray weightOrAny = weight == null ? x : weight;
        NdArray skipOrAny = skip == null ? x : skip;
        queue.launch(
            op,
            Kernel.Spec.of(
                "layernorm",
                "layer_norm_gradient",
                "-D GROUP="
                    + group
                    + rms(mean)
                    + Types.option(op, "X", x)
                    + Types.option(op, "W", weightOrAny)
                    + Types.option(op, "DY", dy)
                    + Types.option(op, "SKIP", skipOrAny)
                    + Types.option(op, "DX", dx)),
            Grid.groups(rows, group),
            x,
            weightOrAny,
            meanOrAny,
            rest,
            rstd,
            dy,
            skipOrAny,
            dx,
            columns,
            weight == null ? 0 : 1,
            skip == null ? 0 : 1);
      }
    }
  }

  private static String rms(@Nullable NdArray mean) {
    return " -D RMS=" + (mean == null ? 1 : 0);
  }
}
