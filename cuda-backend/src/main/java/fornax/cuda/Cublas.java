package fornax.cuda;

import fornax.array.DType;
import fornax.backend.DeviceException;
import jcuda.Pointer;
import jcuda.cudaDataType;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;

/// cuBLAS on one device: a handle with its own workspace on the compute stream, which makes its
/// results the same every time. Loading this class loads JCublas2's natives: only where
/// `libcublas.so.12` has been found.
final class Cublas {
  static {
    JcudaNatives.with("JCublas2", () -> JCublas2.setExceptionsEnabled(false));
  }

  /// The sizes that NVIDIA recommends: cuBLAS documentation, cublasSetWorkspace.
  private static final long HOPPER_WORKSPACE = 32L << 20;

  private static final long WORKSPACE = 4L << 20;

  private final CudaDevice device;
  private final cublasHandle handle = new cublasHandle();
  private final long workspace;
  private final Pointer one = Pointer.to(new float[] {1});
  private final Pointer zero = Pointer.to(new float[] {0});

  Cublas(CudaDevice device) {
    this.device = device;
    device.makeCurrent();
    check(JCublas2.cublasCreate(handle), "cublasCreate");
    long bytes = device.capability() >= 90 ? HOPPER_WORKSPACE : WORKSPACE;
    workspace = device.allocateRaw(bytes);
    check(JCublas2.cublasSetStream(handle, new cudaStream_t(device.compute())), "cublasSetStream");
    check(
        JCublas2.cublasSetWorkspace(handle, CudaDriver.pointer(workspace), bytes),
        "cublasSetWorkspace");
  }

  private static void check(int status, String op) {
    if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
      throw new DeviceException(op + ": cuBLAS failed; got " + cublasStatus.stringFor(status));
    }
  }

  /// A matrix as cuBLAS takes it, by rows.
  ///
  /// @param transposed whether it lies by columns
  /// @param leading the distance of its rows, or columns
  /// @param batchStride the distance of the matrices of a batch
  record Matrix(long address, DType type, boolean transposed, int leading, long batchStride) {}

  /// `y [M, N] = or += a [M, K]·b [K, N]` for a batch; y lies by rows.
  ///
  /// @param tf32 whether F32 factors may be rounded to TF32
  void gemm(
      Matrix a,
      Matrix b,
      Matrix y,
      int m,
      int n,
      int k,
      int batches,
      boolean accumulate,
      boolean tf32) {
    // cuBLAS counts by columns, where a matrix by rows is its transpose: yᵀ = bᵀ·aᵀ. In F32 TF32
    // only if asked for, and else no algorithm that reorders by precision.
    int compute =
        a.type().isHalf()
            ? cublasComputeType.CUBLAS_COMPUTE_32F
            : tf32
                ? cublasComputeType.CUBLAS_COMPUTE_32F_FAST_TF32
                : cublasComputeType.CUBLAS_COMPUTE_32F_PEDANTIC;
    synchronized (device) {
      device.makeCurrent();
      device.beginTimed();
      int status =
          JCublas2.cublasGemmStridedBatchedEx_new(
              handle,
              operation(b),
              operation(a),
              n,
              m,
              k,
              one,
              CudaDriver.pointer(b.address()),
              type(b),
              b.leading(),
              b.batchStride(),
              CudaDriver.pointer(a.address()),
              type(a),
              a.leading(),
              a.batchStride(),
              accumulate ? one : zero,
              CudaDriver.pointer(y.address()),
              type(y),
              y.leading(),
              y.batchStride(),
              batches,
              compute,
              cublasGemmAlgo.CUBLAS_GEMM_DEFAULT);
      device.endTimed("matmul", "cuBLAS");
      device.noteLaunch("matmul");
      if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
        throw new DeviceException(
            "matmul: cuBLAS failed; got "
                + cublasStatus.stringFor(status)
                + " for ["
                + m
                + ", "
                + k
                + "] · ["
                + k
                + ", "
                + n
                + "], batch of "
                + batches
                + "; -Dfornax.cuda.cublas=false takes the backend's own matmul");
      }
      device.checkNow("matmul");
    }
  }

  private static int operation(Matrix matrix) {
    return matrix.transposed() ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
  }

  private static int type(Matrix matrix) {
    return switch (matrix.type()) {
      case BF16 -> cudaDataType.CUDA_R_16BF;
      case F16 -> cudaDataType.CUDA_R_16F;
      case F32 -> cudaDataType.CUDA_R_32F;
      case F64, I32, BOOL -> throw new IllegalArgumentException("cuBLAS: got " + matrix.type());
    };
  }

  void close() {
    device.makeCurrent();
    int _ = JCublas2.cublasDestroy(handle);
    device.free(workspace);
  }
}
