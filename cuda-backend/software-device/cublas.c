// cuBLAS: matrix products, summed in double precision by plain loops, queued on the handle's stream.

#include "device.h"
#include "ptx_ops.h"

#include <stdio.h>
#include <stdlib.h>

typedef int Status;
enum { OK = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_16F = 2, R_16BF = 14 };
enum { COMPUTE_16F = 64, COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_32F_FAST_16F = 74, COMPUTE_32F_FAST_16BF = 75, COMPUTE_32F_FAST_TF32 = 77 };
enum { MATH_DEFAULT = 0, MATH_TENSOR_OP = 1, MATH_PEDANTIC = 2, MATH_TF32 = 3 };

// Of the driver.
int softwareCudaCall(void *stream, const char *name, int (*call)(const void *), const void *arguments, size_t bytes, const char *details);
int softwareCudaCheck(const char *call, const char *what, u64 address, size_t bytes);
int softwareCudaRefuse(const char *call, const char *what);

#define MAGIC 0xb1a5b1a5u

typedef struct Handle {
  u32 magic;
  void *stream;
  int pointerMode, mathMode, atomicsMode;
  u64 workspace;
  size_t workspaceBytes;
} Handle;

#define CHECK(h) if (!(h) || (h)->magic != MAGIC) return NOT_INITIALIZED

Status cublasCreate_v2(Handle **out) {
  if (!out) return INVALID_VALUE;
  *out = calloc(1, sizeof(Handle));
  (*out)->magic = MAGIC;
  return OK;
}
Status cublasDestroy_v2(Handle *h) {
  CHECK(h);
  h->magic = 0;
  free(h);
  return OK;
}
// As in the real library, this also gives back the workspace that the caller had set.
Status cublasSetStream_v2(Handle *h, void *stream) {
  CHECK(h);
  h->stream = stream;
  h->workspace = 0;
  h->workspaceBytes = 0;
  return OK;
}
Status cublasGetStream_v2(Handle *h, void **stream) {
  CHECK(h);
  *stream = h->stream;
  return OK;
}
Status cublasSetWorkspace_v2(Handle *h, void *workspace, size_t bytes) {
  CHECK(h);
  if ((u64)workspace & 255) return INVALID_VALUE;
  if (softwareCudaCheck("cublasSetWorkspace", "the workspace", (u64)workspace, bytes)) return INVALID_VALUE;
  h->workspace = (u64)workspace;
  h->workspaceBytes = bytes;
  return OK;
}

#define MODE(name, field, most)                                                           \
  Status cublasSet##name(Handle *h, int mode) {                                           \
    CHECK(h);                                                                             \
    if (mode < 0 || mode > (most)) return INVALID_VALUE;                                  \
    h->field = mode;                                                                      \
    return OK;                                                                            \
  }                                                                                       \
  Status cublasGet##name(Handle *h, int *mode) {                                          \
    CHECK(h);                                                                             \
    *mode = h->field;                                                                     \
    return OK;                                                                            \
  }
MODE(PointerMode_v2, pointerMode, 1)
MODE(MathMode, mathMode, 31)
MODE(AtomicsMode, atomicsMode, 1)

Status cublasGetVersion_v2(Handle *h, int *version) {
  (void)h;
  *version = 120900;
  return OK;
}
Status cublasGetProperty(int property, int *value) {
  *value = property == 0 ? 12 : property == 1 ? 9 : 0;
  return OK;
}
size_t cublasGetCudartVersion(void) { return 12090; }
Status cublasLoggerConfigure(int on, int toStdout, int toStderr, const char *file) {
  (void)on, (void)toStdout, (void)toStderr, (void)file;
  return OK;
}

static const struct { Status status; const char *name, *text; } STATUSES[] = {
    {0, "CUBLAS_STATUS_SUCCESS", "success"}, {1, "CUBLAS_STATUS_NOT_INITIALIZED", "the library was not initialized"},
    {7, "CUBLAS_STATUS_INVALID_VALUE", "an unsupported value or parameter was passed to the function"},
    {13, "CUBLAS_STATUS_EXECUTION_FAILED", "the GPU program failed to execute"},
    {15, "CUBLAS_STATUS_NOT_SUPPORTED", "the functionality requested is not supported"},
};
const char *cublasGetStatusName(Status status) {
  for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++)
    if (STATUSES[i].status == status) return STATUSES[i].name;
  return "CUBLAS_STATUS_UNKNOWN";
}
const char *cublasGetStatusString(Status status) {
  for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++)
    if (STATUSES[i].status == status) return STATUSES[i].text;
  return "unknown status";
}

// ---- matrix products: C = alpha op(A) op(B) + beta C, column-major ----

typedef struct Gemm {
  const char *name;
  int transposeA, transposeB;
  s64 m, n, k, lda, ldb, ldc, strideA, strideB, strideC, batch;
  u64 a, b, c;
  int typeA, typeB, typeC, tf32, deviceScalars;
  float alpha, beta;             // of host scalars
  u64 alphaAt, betaAt;           // of device scalars
} Gemm;

static size_t bytes_of(int type) { return type == R_32F ? 4 : 2; }

static double load(u64 base, s64 index, int type, int tf32) {
  if (type == R_32F) {
    float f = ((const float *)base)[index];
    return tf32 ? f32_of(tf32_rna(f)) : f;
  }
  u16 h = ((const u16 *)base)[index];
  return type == R_16F ? f16_of(h) : bf16_of(h);
}

static void store(u64 base, s64 index, int type, double x) {
  if (type == R_32F) ((float *)base)[index] = (float)x;
  else ((u16 *)base)[index] = type == R_16F ? bits_f16(x) : bits_bf16(x);
}

// The bytes of a batch of matrices, and what is wrong with a matrix's range.
static int outside(const Gemm *g, const char *what, u64 base, int type, s64 rows, s64 columns, s64 ld, s64 stride) {
  s64 elements = rows && columns && g->batch ? (g->batch - 1) * stride + (columns - 1) * ld + rows : 0;
  return softwareCudaCheck(g->name, what, base, (size_t)elements * bytes_of(type));
}

static int outside_any(const Gemm *g) {
  if (g->deviceScalars && (softwareCudaCheck(g->name, "alpha", g->alphaAt, 4) || softwareCudaCheck(g->name, "beta", g->betaAt, 4))) return 1;
  return (g->k && outside(g, "A", g->a, g->typeA, g->transposeA ? g->k : g->m, g->transposeA ? g->m : g->k, g->lda, g->strideA)) ||
         (g->k && outside(g, "B", g->b, g->typeB, g->transposeB ? g->n : g->k, g->transposeB ? g->k : g->n, g->ldb, g->strideB)) ||
         outside(g, "C", g->c, g->typeC, g->m, g->n, g->ldc, g->strideC);
}

static int run(const void *arguments) {
  const Gemm *g = arguments;
  if (outside_any(g)) return 700;
  double alpha = g->deviceScalars ? *(const float *)g->alphaAt : g->alpha, beta = g->deviceScalars ? *(const float *)g->betaAt : g->beta;
  double *a = malloc(sizeof(double) * (size_t)(g->m * g->k + 1)), *b = malloc(sizeof(double) * (size_t)(g->k + 1)), *sum = malloc(sizeof(double) * (size_t)(g->m + 1));
  for (s64 batch = 0; batch < g->batch; batch++) {
    u64 atA = g->a + (u64)(batch * g->strideA) * bytes_of(g->typeA), atB = g->b + (u64)(batch * g->strideB) * bytes_of(g->typeB), atC = g->c + (u64)(batch * g->strideC) * bytes_of(g->typeC);
    for (s64 p = 0; p < g->k; p++)
      for (s64 i = 0; i < g->m; i++) a[p * g->m + i] = load(atA, g->transposeA ? p + i * g->lda : i + p * g->lda, g->typeA, g->tf32);
    for (s64 j = 0; j < g->n; j++) {
      for (s64 p = 0; p < g->k; p++) b[p] = load(atB, g->transposeB ? j + p * g->ldb : p + j * g->ldb, g->typeB, g->tf32);
      for (s64 i = 0; i < g->m; i++) sum[i] = 0;
      for (s64 p = 0; p < g->k; p++)
        for (s64 i = 0; i < g->m; i++) sum[i] += a[p * g->m + i] * b[p];
      for (s64 i = 0; i < g->m; i++) {
        double old = beta == 0 ? 0 : beta * load(atC, i + j * g->ldc, g->typeC, 0);   // beta 0: C is not read
        store(atC, i + j * g->ldc, g->typeC, alpha * sum[i] + old);
      }
    }
  }
  free(a);
  free(b);
  free(sum);
  return 0;
}

static Status gemm(Handle *h, Gemm g, const void *alpha, const void *beta) {
  CHECK(h);
  s64 rowsA = g.transposeA ? g.k : g.m, rowsB = g.transposeB ? g.n : g.k;
  if (g.m < 0 || g.n < 0 || g.k < 0 || g.batch < 0 || g.transposeA < 0 || g.transposeA > 2 || g.transposeB < 0 || g.transposeB > 2 || !alpha || !beta) return INVALID_VALUE;
  if (g.lda < (rowsA > 1 ? rowsA : 1) || g.ldb < (rowsB > 1 ? rowsB : 1) || g.ldc < (g.m > 1 ? g.m : 1)) {
    softwareCudaRefuse(g.name, "a leading dimension is smaller than the rows of its matrix");
    return INVALID_VALUE;
  }
  if (!g.m || !g.n || !g.batch) return OK;
  g.deviceScalars = h->pointerMode;
  if (h->pointerMode) g.alphaAt = (u64)alpha, g.betaAt = (u64)beta;
  else g.alpha = *(const float *)alpha, g.beta = *(const float *)beta;
  if (h->mathMode == MATH_TF32) g.tf32 = 1;
  if (outside_any(&g)) return EXECUTION_FAILED;
  char details[160];
  snprintf(details, sizeof details, "\"m\":%lld,\"n\":%lld,\"k\":%lld,\"batch\":%lld,\"types\":[%d,%d,%d]", (long long)g.m, (long long)g.n, (long long)g.k, (long long)g.batch, g.typeA, g.typeB, g.typeC);
  return softwareCudaCall(h->stream, g.name, run, &g, sizeof g, details) ? EXECUTION_FAILED : OK;
}

static int known(int type) { return type == R_32F || type == R_16F || type == R_16BF; }

static Status gemm_ex(Handle *h, Gemm g, int compute, const void *alpha, const void *beta) {
  if (!known(g.typeA) || g.typeB != g.typeA || !known(g.typeC) || (g.typeA == R_32F && g.typeC != R_32F) || (g.typeC != R_32F && g.typeC != g.typeA)) {
    softwareCudaRefuse(g.name, "this combination of types");
    return NOT_SUPPORTED;
  }
  // COMPUTE_16F would read alpha and beta as halves.
  if (compute < COMPUTE_32F || compute > COMPUTE_32F_FAST_TF32 || compute == 70 || compute == 71 || compute == 72 || compute == 73) {
    softwareCudaRefuse(g.name, "this compute type");
    return NOT_SUPPORTED;
  }
  g.tf32 = g.typeA == R_32F && compute == COMPUTE_32F_FAST_TF32;
  return gemm(h, g, alpha, beta);
}

#define DEFINE_GEMM(suffix, I)                                                                                           \
  Status cublasSgemm_v2##suffix(Handle *h, int ta, int tb, I m, I n, I k, const float *alpha, const void *a, I lda,      \
                                const void *b, I ldb, const float *beta, void *c, I ldc) {                               \
    return gemm(h, (Gemm){.name = "cublasSgemm", .transposeA = ta, .transposeB = tb, .m = m, .n = n, .k = k, .lda = lda, \
        .ldb = ldb, .ldc = ldc, .batch = 1, .a = (u64)a, .b = (u64)b, .c = (u64)c}, alpha, beta);                        \
  }                                                                                                                      \
  Status cublasSgemmStridedBatched##suffix(Handle *h, int ta, int tb, I m, I n, I k, const float *alpha, const void *a,  \
                                           I lda, long long sa, const void *b, I ldb, long long sb, const float *beta,   \
                                           void *c, I ldc, long long sc, I batch) {                                      \
    return gemm(h, (Gemm){.name = "cublasSgemmStridedBatched", .transposeA = ta, .transposeB = tb, .m = m, .n = n,       \
        .k = k, .lda = lda, .ldb = ldb, .ldc = ldc, .strideA = sa, .strideB = sb, .strideC = sc, .batch = batch,         \
        .a = (u64)a, .b = (u64)b, .c = (u64)c}, alpha, beta);                                                            \
  }                                                                                                                      \
  Status cublasGemmEx##suffix(Handle *h, int ta, int tb, I m, I n, I k, const void *alpha, const void *a, int typeA,     \
                              I lda, const void *b, int typeB, I ldb, const void *beta, void *c, int typeC, I ldc,       \
                              int compute, int algorithm) {                                                              \
    (void)algorithm;                                                                                                     \
    return gemm_ex(h, (Gemm){.name = "cublasGemmEx", .transposeA = ta, .transposeB = tb, .m = m, .n = n, .k = k,         \
        .lda = lda, .ldb = ldb, .ldc = ldc, .batch = 1, .a = (u64)a, .b = (u64)b, .c = (u64)c, .typeA = typeA,           \
        .typeB = typeB, .typeC = typeC}, compute, alpha, beta);                                                          \
  }                                                                                                                      \
  Status cublasGemmStridedBatchedEx##suffix(Handle *h, int ta, int tb, I m, I n, I k, const void *alpha, const void *a,  \
                                            int typeA, I lda, long long sa, const void *b, int typeB, I ldb,             \
                                            long long sb, const void *beta, void *c, int typeC, I ldc, long long sc,     \
                                            I batch, int compute, int algorithm) {                                       \
    (void)algorithm;                                                                                                     \
    return gemm_ex(h, (Gemm){.name = "cublasGemmStridedBatchedEx", .transposeA = ta, .transposeB = tb, .m = m, .n = n,   \
        .k = k, .lda = lda, .ldb = ldb, .ldc = ldc, .strideA = sa, .strideB = sb, .strideC = sc, .batch = batch,         \
        .a = (u64)a, .b = (u64)b, .c = (u64)c, .typeA = typeA, .typeB = typeB, .typeC = typeC}, compute, alpha, beta);   \
  }
DEFINE_GEMM(, int)
DEFINE_GEMM(_64, s64)
