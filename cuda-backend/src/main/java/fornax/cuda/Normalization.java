package fornax.cuda;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.CrossEntropyOptions;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import org.jspecify.annotations.Nullable;

/// Launches of the kernels that work by rows: `softmax.cu`, `layernorm.cu`, `rmsnorm.cu`,
/// `crossentropy.cu`. A method that gives false has no kernel for its operands' types.
final class Normalization {
  /// Rows up to this long have a warp, longer ones a block.
  private static final long WARP_COLUMNS = 512;

  private final CudaDevice device;

  Normalization(CudaDevice device) {
    this.device = device;
  }

  private static boolean oneFloatingType(NdArray x, NdArray... others) {
    for (NdArray other : others) {
      if (other.dtype() != x.dtype()) {
        return false;
      }
    }
    return x.dtype() == DType.F32 || x.dtype().isHalf();
  }

  private static boolean isF32(@Nullable NdArray... arrays) {
    for (NdArray array : arrays) {
      if (array != null && array.dtype() != DType.F32) {
        return false;
      }
    }
    return true;
  }

  // "warp" or "block", by the length of a row.
  private static String group(long columns) {
    return columns <= WARP_COLUMNS ? "_warp_" : "_block_";
  }

  private static void rows(Launch launch, long rows, long columns) {
    if (columns <= WARP_COLUMNS) {
      launch.run((rows + 7) / 8, 1, 1, 32, 8);
    } else {
      launch.run(rows, 1, 1, 256, 1);
    }
  }

  // ---- softmax

  /// @param name `softmax` or `log_softmax`
  boolean softmax(String name, NdArray x, int axis, NdArray y) {
    if (!oneFloatingType(x, y)) {
      return false;
    }
    if (y.elements() > 0) {
      long n = x.dim(axis);
      long inner = inner(x, axis);
      long outer = x.elements() / n / inner;
      String type = Elementwise.lower(x.dtype());
      String kernel = name + (inner == 1 ? group(n) : "_columns_") + type;
      Launch launch = device.kernel(name, "softmax", kernel).array(x).array(y).size(outer).size(n);
      run(launch, outer, n, inner);
    }
    return true;
  }

  /// @param name `softmax` or `log_softmax`
  boolean softmaxGradient(String name, NdArray y, NdArray dy, int axis, NdArray dx) {
    if (!oneFloatingType(y, dy, dx)) {
      return false;
    }
    if (dx.elements() > 0) {
      long n = y.dim(axis);
      long inner = inner(y, axis);
      long outer = y.elements() / n / inner;
      String type = Elementwise.lower(y.dtype());
      String kernel = name + "_gradient" + (inner == 1 ? group(n) : "_columns_") + type;
      Launch launch =
          device
              .kernel(name + "Gradient", "softmax", kernel)
              .array(y)
              .array(dy)
              .array(dx)
              .size(outer)
              .size(n);
      run(launch, outer, n, inner);
    }
    return true;
  }

  private static void run(Launch launch, long outer, long n, long inner) {
    if (inner == 1) {
      rows(launch, outer, n);
    } else {
      launch.size(inner).threads(outer * inner);
    }
  }

  private static long inner(NdArray x, int axis) {
    long inner = 1;
    for (int i = x.shape().axis("softmax", axis) + 1; i < x.rank(); i++) {
      inner *= x.dim(i);
    }
    return inner;
  }

  // ---- layer norm and RMS norm

  boolean layerNorm(
      NdArray x,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    if (!oneFloatingType(x, y) || !isF32(weight, bias, mean, rstd)) {
      return false;
    }
    if (x.elements() > 0) {
      long columns = x.dim(1);
      String kernel = "layer_norm" + group(columns) + Elementwise.lower(x.dtype());
      Launch launch =
          device
              .kernel("layerNorm", "layernorm", kernel)
              .array(x)
              .array(weight)
              .array(bias)
              .real((float) epsilon)
              .array(y)
              .array(mean)
              .array(rstd)
              .size(x.dim(0))
              .size(columns);
      rows(launch, x.dim(0), columns);
    }
    return x.elements() > 0 || x.dim(0) == 0;
  }

  boolean addLayerNorm(
      NdArray x,
      NdArray addend,
      @Nullable NdArray weight,
      @Nullable NdArray bias,
      double epsilon,
      NdArray sum,
      NdArray y,
      NdArray mean,
      NdArray rstd) {
    if (!oneFloatingType(x, addend, sum, y)
        || !isF32(weight, bias, mean, rstd)
        || x.elements() == 0) {
      return false;
    }
    long columns = x.dim(1);
    String kernel = "add_layer_norm" + group(columns) + Elementwise.lower(x.dtype());
    Launch launch =
        device
            .kernel("addLayerNorm", "layernorm", kernel)
            .array(x)
            .array(addend)
            .array(weight)
            .array(bias)
            .real((float) epsilon)
            .array(sum)
            .array(y)
            .array(mean)
            .array(rstd)
            .size(x.dim(0))
            .size(columns);
    rows(launch, x.dim(0), columns);
    return true;
  }

  /// @param skip added to dx; addLayerNormGradient
  boolean layerNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray mean,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray skip,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      @Nullable NdArray dBias,
      boolean accumulate) {
    if (!oneFloatingType(x, dy)
        || (dx != null && dx.dtype() != x.dtype())
        || (skip != null && skip.dtype() != x.dtype())
        || !isF32(weight, mean, rstd, dWeight, dBias)
        || x.elements() == 0) {
      return false;
    }
    String op = skip == null ? "layerNormGradient" : "addLayerNormGradient";
    long rows = x.dim(0);
    long columns = x.dim(1);
    String type = Elementwise.lower(x.dtype());
    try (var work = new Workspace(device.memory())) {
      NdArray rest = work.allocate(DType.F32, Shape.of(rows));
      Launch launch =
          device
              .kernel(op, "layernorm", "layer_norm_gradient" + group(columns) + type)
              .array(x)
              .array(weight)
              .array(mean)
              .array(rstd)
              .array(dy)
              .array(skip)
              .array(dx)
              .array(rest)
              .size(rows)
              .size(columns);
      rows(launch, rows, columns);
      if (dWeight == null && dBias == null) {
        return true;
      }
      long chunk = Reduction.columnChunk(columns, rows);
      long chunks = (rows + chunk - 1) / chunk;
      Shape shape = Shape.of(chunks, columns);
      NdArray weights = dWeight == null ? null : work.allocate(DType.F32, shape);
      NdArray biases = dBias == null ? null : work.allocate(DType.F32, shape);
      device
          .kernel(op, "layernorm", "layer_norm_gradient_parameters_" + type)
          .array(x)
          .array(mean)
          .array(rest)
          .array(rstd)
          .array(dy)
          .array(weights)
          .array(biases)
          .size(rows)
          .size(columns)
          .size(chunk)
          .run((columns + 31) / 32, chunks, 1, 32, 8);
      if (weights != null && dWeight != null) {
        sumPartials(op, weights, dWeight, accumulate);
      }
      if (biases != null && dBias != null) {
        sumPartials(op, biases, dBias, accumulate);
      }
    }
    return true;
  }

  /// `y = or += the sum of partials [chunks, C]` over chunks.
  void sumPartials(String op, NdArray partials, NdArray y, boolean accumulate) {
    device
        .kernel(op, "reduction", "reduce_partials")
        .array(partials)
        .size(partials.dim(0))
        .size(partials.dim(1))
        .array(y)
        .integer(accumulate ? 1 : 0)
        .threads(partials.dim(1));
  }

  boolean rmsNorm(NdArray x, @Nullable NdArray weight, double epsilon, NdArray y, NdArray rstd) {
    if (!oneFloatingType(x, y) || !isF32(weight, rstd)) {
      return false;
    }
    if (x.elements() > 0) {
      long columns = x.dim(1);
      String kernel = "rms_norm" + group(columns) + Elementwise.lower(x.dtype());
      Launch launch =
          device
              .kernel("rmsNorm", "rmsnorm", kernel)
              .array(x)
              .array(weight)
              .real((float) epsilon)
              .array(y)
              .array(rstd)
              .size(x.dim(0))
              .size(columns);
      rows(launch, x.dim(0), columns);
    }
    return x.elements() > 0 || x.dim(0) == 0;
  }

  boolean rmsNormGradient(
      NdArray x,
      @Nullable NdArray weight,
      NdArray rstd,
      NdArray dy,
      @Nullable NdArray dx,
      @Nullable NdArray dWeight,
      boolean accumulate) {
    if (!oneFloatingType(x, dy)
        || (dx != null && dx.dtype() != x.dtype())
        || !isF32(weight, rstd, dWeight)
        || x.elements() == 0) {
      return false;
    }
    long rows = x.dim(0);
    long columns = x.dim(1);
    String type = Elementwise.lower(x.dtype());
    if (dWeight != null) { // before dx, which may lie where dy does
      long chunk = Reduction.columnChunk(columns, rows);
      long chunks = (rows + chunk - 1) / chunk;
      try (var work = new Workspace(device.memory())) {
        NdArray partials = work.allocate(DType.F32, Shape.of(chunks, columns));
        device
            .kernel("rmsNormGradient", "rmsnorm", "rms_norm_gradient_parameters_" + type)
            .array(x)
            .array(rstd)
            .array(dy)
            .array(partials)
            .size(rows)
            .size(columns)
            .size(chunk)
            .run((columns + 31) / 32, chunks, 1, 32, 8);
        sumPartials("rmsNormGradient", partials, dWeight, accumulate);
      }
    }
    if (dx != null) {
      Launch launch =
          device
              .kernel("rmsNormGradient", "rmsnorm", "rms_norm_gradient" + group(columns) + type)
              .array(x)
              .array(weight)
              .array(rstd)
              .array(dy)
              .array(dx)
              .size(rows)
              .size(columns);
      rows(launch, rows, columns);
    }
    return true;
  }

  // ---- cross entropy

  boolean crossEntropy(
      NdArray x, NdArray targets, CrossEntropyOptions options, NdArray losses, NdArray logSumExp) {
    if (!oneFloatingType(x) || !isF32(losses, logSumExp) || !byRows(x)) {
      return false;
    }
    if (x.dim(0) > 0) {
      long columns = x.dim(1);
      String kernel = "cross_entropy" + group(columns) + Elementwise.lower(x.dtype());
      Launch launch =
          device
              .kernel("crossEntropy", "crossentropy", kernel)
              .array(x)
              .array(targets)
              .integer(options.ignoreIndex())
              .real((float) options.smoothing())
              .array(losses)
              .array(logSumExp)
              .size(x.dim(0))
              .size(columns)
              .number(x.layout().stride(0))
              .address(device.errorAddress())
              .integer(device.indexErrors().ticket("crossEntropy", targets.layout(), columns));
      rows(launch, x.dim(0), columns);
    }
    return true;
  }

  boolean crossEntropyGradient(
      NdArray x,
      NdArray targets,
      CrossEntropyOptions options,
      NdArray logSumExp,
      NdArray dLosses,
      NdArray dx) {
    if (!oneFloatingType(x, dx) || !isF32(logSumExp, dLosses) || !byRows(x) || !byRows(dx)) {
      return false;
    }
    if (x.elements() > 0) {
      device
          .kernel(
              "crossEntropyGradient",
              "crossentropy",
              "cross_entropy_gradient_" + Elementwise.lower(x.dtype()))
          .array(x)
          .array(targets)
          .integer(options.ignoreIndex())
          .real((float) options.smoothing())
          .array(logSumExp)
          .array(dLosses)
          .number(dLosses.layout().stride(0))
          .array(dx)
          .size(x.dim(1))
          .number(x.layout().stride(0))
          .number(dx.layout().stride(0))
          .run(x.dim(0), 1, 1, 256, 1);
    }
    return true;
  }

  private static boolean byRows(NdArray x) {
    return x.dim(1) == 1 || x.layout().stride(1) == 1;
  }
}
