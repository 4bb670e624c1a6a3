// y = op(x), and its gradient dx = dy · op′(x).
#include "fornax.cuh"
#include "strided.cuh"
#include "functions.cuh"

// ---- contiguous operands, aligned to four elements: four to a thread, then a scalar tail

template <int OP, typename T>
__device__ __forceinline__ void contiguous(const T* x, T* y, i64 n) {
  i64 i = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 4 <= n) {
    float v[4];
    load4(x + i, v);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      v[k] = unary(OP, v[k]);
    }
    store4(y + i, v);
  } else {
    for (; i < n; i++) {
      y[i] = fromFloat<T>(unary(OP, toFloat(x[i])));
    }
  }
}

template <int OP, typename T>
__device__ __forceinline__ void contiguousGradient(
    const T* x, const T* y, const T* dy, T* dx, i64 n) {
  i64 i = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 4 <= n) {
    float v[4], w[4], d[4];
    load4(x + i, v);
    load4(y + i, w);
    load4(dy + i, d);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      d[k] *= derivative(OP, v[k], w[k]);
    }
    store4(dx + i, d);
  } else {
    for (; i < n; i++) {
      dx[i] = fromFloat<T>(toFloat(dy[i]) * derivative(OP, toFloat(x[i]), toFloat(y[i])));
    }
  }
}

#define UNARY_OF(OP, name, T, type)                                                             \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      unary_##name##_##type(const T* x, T* y, i64 n) {                                          \
    contiguous<OP, T>(x, y, n);                                                                 \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      unary_gradient_##name##_##type(const T* x, const T* y, const T* dy, T* dx, i64 n) {       \
    contiguousGradient<OP, T>(x, y, dy, dx, n);                                                 \
  }
#define UNARY(OP, name)              \
  UNARY_OF(OP, name, float, f32)     \
  UNARY_OF(OP, name, bf16, bf16)   \
  UNARY_OF(OP, name, f16, f16)

UNARY(NEGATE, negate)
UNARY(ABS, abs)
UNARY(SIGN, sign)
UNARY(SQUARE, square)
UNARY(SQRT, sqrt)
UNARY(RSQRT, rsqrt)
UNARY(RECIPROCAL, reciprocal)
UNARY(EXP, exp)
UNARY(LOG, log)
UNARY(TANH, tanh)
UNARY(SIGMOID, sigmoid)
UNARY(SOFTPLUS, softplus)
UNARY(RELU, relu)
UNARY(SILU, silu)
UNARY(GELU_TANH, gelu_tanh)
UNARY(GELU_ERF, gelu_erf)
UNARY(ERF, erf)
UNARY(SIN, sin)
UNARY(COS, cos)

// ---- any strides and types

extern "C" __global__ void __launch_bounds__(256) unary_strided(
    int op, const void* x, int xType, void* y, int yType, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    storeFloat(y, yType, at[1], unary(op, loadFloat(x, xType, at[0])));
  }
}

extern "C" __global__ void __launch_bounds__(256) unary_strided_i32(
    int op, const int* x, int* y, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    int v = x[at[0]];
    int negated = (int)(0u - (u32)v);
    y[at[1]] = op == NEGATE ? negated : op == ABS ? (v < 0 ? negated : v) : (v > 0) - (v < 0);
  }
}
