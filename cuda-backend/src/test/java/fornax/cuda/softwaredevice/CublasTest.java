package fornax.cuda.softwaredevice;

import static jcuda.jcublas.JCublas2.cublasCreate;
import static jcuda.jcublas.JCublas2.cublasDestroy;
import static jcuda.jcublas.JCublas2.cublasDgemm;
import static jcuda.jcublas.JCublas2.cublasGemmEx_new;
import static jcuda.jcublas.JCublas2.cublasGemmStridedBatchedEx_new;
import static jcuda.jcublas.JCublas2.cublasSetMathMode;
import static jcuda.jcublas.JCublas2.cublasSetStream;
import static jcuda.jcublas.JCublas2.cublasSgemm;
import static jcuda.jcublas.JCublas2.cublasSgemmStridedBatched;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;
import org.junit.jupiter.api.Test;

/// The products of `libcublas.so.12` through JCublas2, against plain loops.
class CublasTest {
  private static final int R_32F = 0;
  private static final int R_16BF = 14;

  @Test
  void sgemm_everyTransposeForm() {
    try (var gpu = new Gpu()) {
      var handle = new cublasHandle();
      check(cublasCreate(handle));
      int m = 5;
      int n = 7;
      int k = 3;
      float[] a = numbers(m * k);
      float[] b = numbers(k * n);
      float[] c = numbers(m * n);
      for (int ta = 0; ta < 2; ta++) {
        for (int tb = 0; tb < 2; tb++) {
          CUdeviceptr pc = gpu.upload(c);
          check(
              cublasSgemm(
                  handle,
                  ta,
                  tb,
                  m,
                  n,
                  k,
                  Pointer.to(new float[] {2}),
                  gpu.upload(a),
                  ta == 0 ? m : k,
                  gpu.upload(b),
                  tb == 0 ? k : n,
                  Pointer.to(new float[] {3}),
                  pc,
                  m));
          float[] out = gpu.floats(pc, m * n);
          for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
              double sum = 0;
              for (int p = 0; p < k; p++) {
                sum +=
                    (double) a[ta == 0 ? i + p * m : p + i * k]
                        * b[tb == 0 ? p + j * k : j + p * n];
              }
              assertEquals((float) (2 * sum + 3.0 * c[i + j * m]), out[i + j * m]);
            }
          }
        }
      }
      check(cublasDestroy(handle));
    }
  }

  @Test
  void stridedBatches_inSingleAndBrainFloat() {
    try (var gpu = new Gpu()) {
      var handle = new cublasHandle();
      check(cublasCreate(handle));
      var a = new float[12];
      var halves = new short[12];
      for (int i = 0; i < 12; i++) {
        a[i] = i + 1;
        halves[i] = (short) (Float.floatToRawIntBits(a[i]) >>> 16);
      }
      Pointer one = Pointer.to(new float[] {1});
      Pointer zero = Pointer.to(new float[] {0});
      // three products of [2, 2] by [2, 2]
      float[] expected = {7, 10, 15, 22, 67, 78, 91, 106, 191, 210, 231, 254};
      CUdeviceptr c = gpu.allocate(48);
      CUdeviceptr pa = gpu.upload(a);
      check(
          cublasSgemmStridedBatched(
              handle, 0, 0, 2, 2, 2, one, pa, 2, 4, pa, 2, 4, zero, c, 2, 4, 3));
      assertArrayEquals(expected, gpu.floats(c, 12));
      CUdeviceptr ph = gpu.upload(halves);
      c = gpu.allocate(48);
      check(
          cublasGemmStridedBatchedEx_new(
              handle,
              0,
              0,
              2,
              2,
              2,
              one,
              ph,
              R_16BF,
              2,
              4,
              ph,
              R_16BF,
              2,
              4,
              zero,
              c,
              R_32F,
              2,
              4,
              3,
              cublasComputeType.CUBLAS_COMPUTE_32F,
              cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
      assertArrayEquals(expected, gpu.floats(c, 12));
      check(
          cublasGemmEx_new(
              handle,
              0,
              0,
              2,
              2,
              2,
              one,
              ph,
              R_16BF,
              2,
              ph,
              R_16BF,
              2,
              zero,
              c,
              R_16BF,
              2,
              cublasComputeType.CUBLAS_COMPUTE_32F,
              cublasGemmAlgo.CUBLAS_GEMM_DEFAULT));
      assertEquals(0x412040e0, gpu.ints(c, 1)[0], "10 and 7 as bf16");
      check(cublasDestroy(handle));
    }
  }

  @Test
  void tf32_losesThirteenBits() {
    try (var gpu = new Gpu()) {
      var handle = new cublasHandle();
      check(cublasCreate(handle));
      CUdeviceptr a = gpu.upload(1 + 0x1p-12f);
      CUdeviceptr c = gpu.allocate(4);
      Pointer one = Pointer.to(new float[] {1});
      check(cublasSetMathMode(handle, cublasMath.CUBLAS_TF32_TENSOR_OP_MATH));
      check(cublasSgemm(handle, 0, 0, 1, 1, 1, one, a, 1, a, 1, Pointer.to(new float[] {0}), c, 1));
      assertEquals(1f, gpu.floats(c, 1)[0]);
      check(cublasDestroy(handle));
    }
  }

  @Test
  void products_runInTheirStreamAndAreChecked() {
    try (var gpu = new Gpu()) {
      var handle = new cublasHandle();
      check(cublasCreate(handle));
      var stream = new CUstream();
      Gpu.check(JCudaDriver.cuStreamCreate(stream, 1));
      check(cublasSetStream(handle, new cudaStream_t(stream)));
      Pointer one = Pointer.to(new float[] {1});
      Pointer zero = Pointer.to(new float[] {0});
      CUdeviceptr a = gpu.upload(3f);
      CUdeviceptr c = gpu.upload(0f);
      check(cublasSgemm(handle, 0, 0, 1, 1, 1, one, a, 1, a, 1, zero, c, 1));
      assertEquals(0f, gpu.floats(c, 1)[0], "nobody waited for the stream");
      Gpu.check(JCudaDriver.cuStreamSynchronize(stream));
      assertEquals(9f, gpu.floats(c, 1)[0]);

      assertEquals(
          cublasStatus.CUBLAS_STATUS_EXECUTION_FAILED,
          cublasSgemm(handle, 0, 0, 2, 1, 1, one, a, 2, a, 1, zero, c, 2));
      assertTrue(SoftwareDevice.message().contains("beyond the end of allocation"));
      assertNotEquals(
          cublasStatus.CUBLAS_STATUS_SUCCESS,
          cublasDgemm(handle, 0, 0, 1, 1, 1, one, a, 1, a, 1, zero, c, 1));
      assertTrue(SoftwareDevice.message().startsWith("cublasDgemm_v2:"));
      check(cublasDestroy(handle));
    }
  }

  private static void check(int status) {
    assertEquals(
        cublasStatus.CUBLAS_STATUS_SUCCESS,
        status,
        () -> cublasStatus.stringFor(status) + " " + SoftwareDevice.message());
  }

  private static float[] numbers(int n) {
    var random = new Random(n);
    var x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = random.nextInt(9) - 4;
    }
    return x;
  }
}
