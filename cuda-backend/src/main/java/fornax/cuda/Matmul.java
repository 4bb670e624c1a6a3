package fornax.cuda;

import fornax.array.DType;
import fornax.array.Layout;
import fornax.array.Shape;
import fornax.backend.Binary;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Settings;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.cuda.Cublas.Matrix;
import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Products of matrices, by cuBLAS or by `matmul.cu`, `matmulmma.cu`, `matmulmmaf16.cu` and
/// `matmultf32.cu`, and what stands round them in a linear layer (`linear.cu`).
final class Matmul {
  /// What `linear.cu` has kernels for.
  private static final Set<Unary> ACTIVATIONS =
      Set.of(Unary.RELU, Unary.GELU_TANH, Unary.GELU_ERF, Unary.SILU, Unary.TANH, Unary.SIGMOID);

  /// What `matmul.cu` and `matmulmma.cu` have epilogues for.
  static final Set<Unary> EPILOGUES = Set.of(Unary.RELU, Unary.GELU_TANH);

  static final long MAX_GRID_YZ = 65535;

  private final CudaDevice device;
  private final Elementwise elementwise;
  private final Normalization normalization;
  private final TensorMatmul tensorCores;
  private final boolean wantsCublas;
  private @Nullable Cublas cublas;
  private boolean cublasTried;
  private boolean tf32;

  /// @param cublasFound whether `libcublas.so.12` has been loaded
  Matmul(
      CudaDevice device,
      Elementwise elementwise,
      Normalization normalization,
      boolean cublasFound) {
    this.device = device;
    this.elementwise = elementwise;
    this.normalization = normalization;
    this.tensorCores = new TensorMatmul(device, elementwise);
    this.wantsCublas = cublasFound && Settings.cublas();
    this.tf32 = Settings.cudaTf32();
    this.tensorCores.takeTf32(tf32);
  }

  /// Whether products of F32 matrices round their factors to TF32 from now on; always if
  /// `-Dfornax.cuda.tf32=true` says so.
  ///
  /// @throws DeviceException if the card has no tensor cores for it
  void multiplyInTf32(boolean wanted) {
    int least = KernelSource.leastCapability("matmultf32");
    if (wanted && device.capability() < least) {
      throw new DeviceException(
          "precision: no TF32; got "
              + device.id()
              + " of compute capability "
              + device.capability() / 10.0
              + "; need "
              + least / 10.0
              + " or later, or --precision f32");
    }
    boolean before = tf32;
    tf32 = wanted || Settings.cudaTf32();
    tensorCores.takeTf32(tf32);
    if (cublasTried && tf32 != before) {
      log();
    }
  }

  private void log() {
    System.getLogger("fornax.cuda").log(System.Logger.Level.INFO, "cuda: " + description());
  }

  private synchronized @Nullable Cublas cublas() {
    if (!cublasTried) {
      cublasTried = true;
      load();
      log();
    }
    return cublas;
  }

  private String description() {
    String who = device.id() + " multiplies matrices by ";
    String halves =
        device.capability() >= KernelSource.leastCapability("matmulmma")
            ? "matmulmma.cu and matmulmmaf16.cu"
            : device.capability() >= KernelSource.leastCapability("matmulmmaf16")
                ? "matmulmmaf16.cu (F16)"
                : "";
    if (cublas != null) {
      return who
          + "cuBLAS, F32 in "
          + (tf32 ? "TF32" : "F32")
          + ", BF16 and F16 with F32 sums; linear layers in these by "
          + (halves.isEmpty() ? "kernels after it" : halves);
    }
    return who
        + (tf32 ? "matmultf32.cu in TF32" : "matmul.cu in F32")
        + (halves.isEmpty() ? "" : ", BF16 and F16 by " + halves + " with F32 sums");
  }

  private void load() {
    if (wantsCublas) {
      try {
        cublas = new Cublas(device);
      } catch (LinkageError e) {
        System.getLogger("fornax.cuda")
            .log(
                System.Logger.Level.WARNING,
                "cuda: cuBLAS was found but does not load; the backend's own matmul is used",
                e);
      }
    }
  }

  void close() {
    Cublas opened = cublas;
    if (opened != null) {
      opened.close();
    }
  }

  // ---- y = a·b

  void matmul(NdArray a, NdArray b, NdArray y, boolean accumulate) {
    if (y.elements() == 0) {
      return;
    }
    if (!isByRows(y) && isByRows(y.transpose())) {
      matmul(b.transpose(), a.transpose(), y.transpose(), accumulate); // yᵀ = bᵀ·aᵀ
      return;
    }
    if (a.dim(-1) == 0) {
      if (!accumulate) {
        elementwise.fill(y, 0);
      }
      return;
    }
    Cublas blas = cublas();
    if (blas == null) {
      own(a, b, null, null, null, y, accumulate);
    } else {
      byCublas(blas, a, b, y, accumulate);
    }
  }

  private void byCublas(Cublas blas, NdArray a, NdArray b, NdArray y, boolean accumulate) {
    try (var work = new Workspace(device.memory())) {
      // Both of one type; and F32 operands give an F32 result.
      DType type = a.dtype() == b.dtype() ? a.dtype() : DType.F32;
      NdArray left = operand(work, a, type);
      NdArray right = operand(work, b, type);
      boolean direct = isByRows(y) && (y.dtype() == DType.F32 || y.dtype() == type);
      NdArray result = direct ? y : work.allocate(DType.F32, y.shape());
      multiply(blas, left, right, result, accumulate && direct);
      if (!direct) {
        if (accumulate) {
          elementwise.binary(Binary.ADD, y, result, y);
        } else {
          elementwise.copy(result, y);
        }
      }
    }
  }

  // A batch of matrices that cuBLAS can read: `x` itself, or a contiguous copy.
  private NdArray operand(Workspace work, NdArray x, DType type) {
    if (x.dtype() == type && (isByRows(x) || isByRows(x.transpose()))) {
      return x;
    }
    return elementwise.contiguous(work, x, type);
  }

  private static boolean isByRows(NdArray x) {
    long rows = x.dim(-2);
    long columns = x.dim(-1);
    return (x.layout().stride(-1) == 1 || columns == 1)
        && (rows == 1 || x.layout().stride(-2) >= columns)
        && leading(x) <= Integer.MAX_VALUE;
  }

  private static long leading(NdArray x) {
    return x.dim(-2) == 1 ? x.dim(-1) : x.layout().stride(-2);
  }

  private void multiply(Cublas blas, NdArray a, NdArray b, NdArray y, boolean accumulate) {
    // The innermost joined batch axis is cuBLAS's batch; the others are loops.
    StridedLoop batch = StridedLoop.of(batches(a), batches(b), batches(y));
    int rank = batch.rank();
    long inner = rank == 0 ? 1 : batch.dims()[rank - 1];
    long outer = batch.elements() / inner;
    for (long i = 0; i < outer; i++) {
      long[] at = batch.offsets().clone();
      long rest = i;
      for (int d = rank - 2; d >= 0; d--) {
        long index = rest % batch.dims()[d];
        rest /= batch.dims()[d];
        for (int k = 0; k < 3; k++) {
          at[k] += index * batch.strides()[k][d];
        }
      }
      blas.gemm(
          matrix(a, at[0], rank == 0 ? 0 : batch.strides()[0][rank - 1]),
          matrix(b, at[1], rank == 0 ? 0 : batch.strides()[1][rank - 1]),
          matrix(y, at[2], rank == 0 ? 0 : batch.strides()[2][rank - 1]),
          Math.toIntExact(y.dim(-2)),
          Math.toIntExact(y.dim(-1)),
          Math.toIntExact(a.dim(-1)),
          Math.toIntExact(inner),
          accumulate,
          tf32);
    }
  }

  private static Matrix matrix(NdArray x, long offset, long batchStride) {
    boolean byRows = isByRows(x);
    return new Matrix(
        CudaBlock.address(x, offset),
        x.dtype(),
        !byRows,
        Math.toIntExact(leading(byRows ? x : x.transpose())),
        batchStride);
  }

  static Layout batches(NdArray x) {
    Layout layout = x.layout();
    return Layout.of(
        x.shape().leading(-2), Arrays.copyOf(layout.strides(), x.rank() - 2), layout.offset());
  }

  // Our own kernels. `activation` is null or one of EPILOGUES; `before` is laid out and of the type
  // of y.
  private void own(
      NdArray a,
      NdArray b,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      @Nullable NdArray before,
      NdArray y,
      boolean accumulate) {
    if (tensorCores.takes(a, b, activation, y)) {
      tensorCores.multiply(a, b, bias, activation, before, y, accumulate);
      return;
    }
    try (var work = new Workspace(device.memory())) {
      NdArray left = floats(work, a);
      NdArray right = floats(work, b);
      if (y.dtype() != DType.F32) {
        NdArray result = work.allocate(DType.F32, y.shape());
        if (accumulate) {
          elementwise.copy(y, result);
        }
        launch(left, right, bias, activation, before, result, accumulate);
        elementwise.copy(result, y);
      } else {
        launch(left, right, bias, activation, before, y, accumulate);
      }
    }
  }

  private NdArray floats(Workspace work, NdArray x) {
    return x.dtype() == DType.F32 ? x : elementwise.contiguous(work, x, DType.F32);
  }

  private void launch(
      NdArray a,
      NdArray b,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      @Nullable NdArray before,
      NdArray y,
      boolean accumulate) {
    StridedLoop batch = StridedLoop.of(batches(a), batches(b), batches(y));
    long m = y.dim(-2);
    long n = y.dim(-1);
    long batches = batch.elements();
    // The larger tile where there are enough of them to fill a card.
    long large = (m + 127) / 128 * ((n + 127) / 128) * batches;
    int tile = m >= 128 && n >= 128 && large >= 64 ? 128 : 64;
    String epilogue = activation == null ? "none" : Elementwise.lower(activation);
    for (long first = 0; first < batches; first += MAX_GRID_YZ) {
      device
          .kernel("matmul", "matmul", "matmul_" + tile + "_" + epilogue)
          .struct()
          .word(CudaBlock.address(a))
          .word(CudaBlock.address(b))
          .word(bias == null ? 0 : CudaBlock.address(bias))
          .word(before == null ? 0 : CudaBlock.address(before))
          .word(CudaBlock.address(y))
          .word(a.layout().stride(-2))
          .word(a.layout().stride(-1))
          .word(b.layout().stride(-2))
          .word(b.layout().stride(-1))
          .word(y.layout().stride(-2))
          .word(y.layout().stride(-1))
          .pair(Math.toIntExact(m), Math.toIntExact(n))
          .pair(Math.toIntExact(a.dim(-1)), accumulate ? 1 : 0)
          .pair(Math.toIntExact(first), 0)
          .loop(batch)
          .run(
              (n + tile - 1) / tile,
              (m + tile - 1) / tile,
              Math.min(MAX_GRID_YZ, batches - first),
              256,
              1);
    }
  }

  // ---- linear layer

  /// Whether there were kernels for these operands.
  boolean linear(
      NdArray x,
      NdArray w,
      @Nullable NdArray bias,
      @Nullable Unary activation,
      NdArray y,
      @Nullable NdArray before) {
    if (!(y.dtype() == DType.F32 || y.dtype().isHalf())
        || (before != null && before.dtype() != y.dtype())
        || (bias != null && (bias.dtype() != DType.F32 || !bias.isContiguous()))
        || y.elements() == 0
        || x.dim(1) == 0) {
      return false;
    }
    NdArray sum = before == null ? y : before;
    boolean more = bias != null || activation != null;
    boolean tensors = tensorCores.takes(x, w, null, y);
    if (y.dtype() != DType.F32 && !tensors && (more || cublas() == null)) {
      return false;
    }
    // In 16 bits a sum that cuBLAS stores, rounded, would be rounded again after the bias.
    if (cublas() == null || (y.dtype().isHalf() && more)) {
      if (activation == null || EPILOGUES.contains(activation)) {
        own(x, w, bias, activation, before, y, false);
      } else {
        own(x, w, bias, null, null, sum, false);
        elementwise.unary(activation, sum, y);
      }
      return true;
    }
    matmul(x, w, sum, false);
    if (activation != null && !ACTIVATIONS.contains(activation)) {
      if (bias != null) {
        biasActivation(null, sum, bias, null, sum);
      }
      elementwise.unary(activation, sum, y);
    } else if (bias != null || activation != null || before != null) {
      biasActivation(activation, sum, bias, before, y);
    }
    return true;
  }

  private void biasActivation(
      @Nullable Unary activation,
      NdArray sum,
      @Nullable NdArray bias,
      @Nullable NdArray before,
      NdArray y) {
    long rows = y.dim(0);
    long columns = y.dim(1);
    device
        .kernel("linear", "linear", "linear_bias_" + name(activation, y))
        .array(sum)
        .array(bias)
        .array(before)
        .array(y)
        .size(rows)
        .size(columns)
        .run((columns + 255) / 256, Math.min(rows, MAX_GRID_YZ), 1, 256, 1);
  }

  private static String name(@Nullable Unary activation, NdArray y) {
    String epilogue = activation == null ? "none" : Elementwise.lower(activation);
    return epilogue + "_" + Elementwise.lower(y.dtype());
  }

  /// Whether there were kernels for these operands.
  boolean biasActivationGradient(
      @Nullable Unary activation,
      @Nullable NdArray before,
      @Nullable NdArray y,
      NdArray dy,
      NdArray dBefore,
      @Nullable NdArray dBias,
      boolean accumulate) {
    for (NdArray array : new @Nullable NdArray[] {before, y, dBefore}) {
      if (array != null && array.dtype() != dy.dtype()) {
        return false;
      }
    }
    if (!(dy.dtype() == DType.F32 || dy.dtype().isHalf())
        || (dBias != null && dBias.dtype() != DType.F32)
        || dy.elements() == 0
        || (activation != null
            && (before == null || y == null || !ACTIVATIONS.contains(activation)))) {
      return false;
    }
    long rows = dy.dim(0);
    long columns = dy.dim(1);
    long chunk = Reduction.columnChunk(columns, rows);
    long chunks = (rows + chunk - 1) / chunk;
    try (var work = new Workspace(device.memory())) {
      NdArray partials = dBias == null ? null : work.allocate(DType.F32, Shape.of(chunks, columns));
      device
          .kernel("linearGradient", "linear", "linear_bias_gradient_" + name(activation, dy))
          .array(before)
          .array(y)
          .array(dy)
          .array(dBefore)
          .array(partials)
          .size(rows)
          .size(columns)
          .size(chunk)
          .run((columns + 31) / 32, chunks, 1, 32, 8);
      if (partials != null && dBias != null) {
        normalization.sumPartials("linearGradient", partials, dBias, accumulate);
      }
    }
    return true;
  }
}
