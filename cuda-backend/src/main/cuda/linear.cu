// What stands round the product of a linear layer: bias and activation, and their gradient.
// Shapes: all [N, M]; bias [M].
#include "fornax.cuh"
#include "functions.cuh"

// before = sum + bias, y = activation(before); `sum` may be `before` or `y`. Grid: (M / 256, rows).
template <int OP, typename T>
__device__ __forceinline__ void biasActivation(
    const T* sum, const float* bias, T* before, T* y, u32 N, u32 M) {
  u32 m = blockIdx.x * blockDim.x + threadIdx.x;
  if (m >= M) {
    return;
  }
  float b = bias ? bias[m] : 0;
  for (u32 row = blockIdx.y; row < N; row += gridDim.y) {
    i64 at = (i64)row * M + m;
    float value = toFloat(sum[at]) + b;
    if (before) {
      before[at] = fromFloat<T>(value);
    }
    y[at] = fromFloat<T>(OP < 0 ? value : unary(OP, value));
  }
}

// dBefore = dy ⊙ activation′(before), and its sums over a chunk of rows into partials [chunks, M].
// A tile of 32 columns by 8 threads. Grid: (M / 32, chunks).
template <int OP, typename T>
__device__ __forceinline__ void biasActivationGradient(
    const T* before, const T* y, const T* dy, T* dBefore, float* partials, u32 N, u32 M,
    u32 chunk) {
  __shared__ float sums[8][33];
  u32 m = blockIdx.x * 32 + threadIdx.x;
  u32 start = blockIdx.y * chunk;
  u32 end = min(start + chunk, N);
  TwoLevelSum sum;
  if (m < M) {
    for (u32 row = start + threadIdx.y; row < end; row += 8) {
      i64 at = (i64)row * M + m;
      float d = toFloat(dy[at]);
      if (OP >= 0) {
        d *= derivative(OP, toFloat(before[at]), toFloat(y[at]));
        dBefore[at] = fromFloat<T>(d);
      }
      sum.add(d);
    }
  }
  if (!partials) {
    return;
  }
  sums[threadIdx.y][threadIdx.x] = sum.value();
  __syncthreads();
  if (threadIdx.y == 0 && m < M) {
    float total = 0;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      total += sums[k][threadIdx.x];
    }
    partials[(i64)blockIdx.y * M + m] = total;
  }
}

#define LINEAR(OP, T, name)                                                                   \
  extern "C" __global__ void __launch_bounds__(256) linear_bias_##name(                       \
      const T* sum, const float* bias, T* before, T* y, u32 N, u32 M) {                       \
    biasActivation<OP>(sum, bias, before, y, N, M);                                           \
  }                                                                                           \
  extern "C" __global__ void __launch_bounds__(256) linear_bias_gradient_##name(              \
      const T* before, const T* y, const T* dy, T* dBefore, float* partials, u32 N, u32 M,    \
      u32 chunk) {                                                                            \
    biasActivationGradient<OP>(before, y, dy, dBefore, partials, N, M, chunk);                \
  }

#define LINEARS(OP, name)         \
  LINEAR(OP, float, name##_f32)   \
  LINEAR(OP, bf16, name##_bf16)   \
  LINEAR(OP, f16, name##_f16)

LINEARS(-1, none)
LINEARS(RELU, relu)
LINEARS(GELU_TANH, gelu_tanh)
LINEARS(GELU_ERF, gelu_erf)
LINEARS(SILU, silu)
LINEARS(TANH, tanh)
LINEARS(SIGMOID, sigmoid)
