// What stands round the product of a linear layer: bias and activation, and their gradient.
// Shapes: all [N, M]; bias [M].
#include "fornax.cuh"
#include "functions.cuh"

// before = sum + bias, y = activation(before); `sum` may be `before` or `y`. Grid: (M / 256, rows).
template <int OP>
__device__ __forceinline__ void biasActivation(
    const float* sum, const float* bias, float* before, float* y, u32 N, u32 M) {
  u32 m = blockIdx.x * blockDim.x + threadIdx.x;
  if (m >= M) {
    return;
  }
  float b = bias ? bias[m] : 0;
  for (u32 row = blockIdx.y; row < N; row += gridDim.y) {
    i64 at = (i64)row * M + m;
    float value = sum[at] + b;
    if (before) {
      before[at] = value;
    }
    y[at] = OP < 0 ? value : unary(OP, value);
  }
}

// dBefore = dy ⊙ activation′(before), and its sums over a chunk of rows into partials [chunks, M].
// A tile of 32 columns by 8 threads. Grid: (M / 32, chunks).
template <int OP>
__device__ __forceinline__ void biasActivationGradient(
    const float* before, const float* y, const float* dy, float* dBefore, float* partials, u32 N,
    u32 M, u32 chunk) {
  __shared__ float sums[8][33];
  u32 m = blockIdx.x * 32 + threadIdx.x;
  u32 start = blockIdx.y * chunk;
  u32 end = min(start + chunk, N);
  TwoLevelSum sum;
  if (m < M) {
    for (u32 row = start + threadIdx.y; row < end; row += 8) {
      i64 at = (i64)row * M + m;
      float d = dy[at];
      if (OP >= 0) {
        d *= derivative(OP, before[at], y[at]);
        dBefore[at] = d;
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

#define LINEAR(OP, name)                                                                      \
  extern "C" __global__ void __launch_bounds__(256) linear_bias_##name(                       \
      const float* sum, const float* bias, float* before, float* y, u32 N, u32 M) {           \
    biasActivation<OP>(sum, bias, before, y, N, M);                                           \
  }                                                                                           \
  extern "C" __global__ void __launch_bounds__(256) linear_bias_gradient_##name(              \
      const float* before, const float* y, const float* dy, float* dBefore, float* partials,  \
      u32 N, u32 M, u32 chunk) {                                                              \
    biasActivationGradient<OP>(before, y, dy, dBefore, partials, N, M, chunk);                \
  }

LINEAR(-1, none)
LINEAR(RELU, relu)
LINEAR(GELU_TANH, gelu_tanh)
LINEAR(GELU_ERF, gelu_erf)
LINEAR(SILU, silu)
LINEAR(TANH, tanh)
LINEAR(SIGMOID, sigmoid)
