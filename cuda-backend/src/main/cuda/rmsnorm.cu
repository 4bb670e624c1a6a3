// RMS norm over the last axis, and its gradient. Shapes: x, y, dy, dx [N, C]; weight [C]; rstd [N].
// Source: arXiv:1910.07467.
#include "fornax.cuh"

// A warp or a block to a row.
template <int THREADS, typename T>
__device__ __forceinline__ void forward(
    const T* x, const float* weight, float epsilon, T* y, float* rstd, u32 N, u32 C) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= N) {
    return;
  }
  x += (i64)row * C;
  y += (i64)row * C;
  TwoLevelSum squares;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float v = toFloat(x[c]);
    squares.add(v * v);
  }
  float r = 1 / sqrtf(reduce<THREADS, Sum>(squares.value()) / C + epsilon);
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float value = toFloat(x[c]) * r;
    y[c] = fromFloat<T>(weight ? value * weight[c] : value);
  }
  if (threadIdx.x == 0) {
    rstd[row] = r;
  }
}

// x̂ = x·rstd, g = dy ⊙ weight, dx = rstd·(g − x̂·mean(g ⊙ x̂)).
template <int THREADS, typename T>
__device__ __forceinline__ void gradient(
    const T* x, const float* weight, const float* rstd, const T* dy, T* dx, u32 N, u32 C) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= N) {
    return;
  }
  x += (i64)row * C;
  dy += (i64)row * C;
  dx += (i64)row * C;
  float r = rstd[row];
  TwoLevelSum products;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float g = weight ? toFloat(dy[c]) * weight[c] : toFloat(dy[c]);
    products.add(g * (toFloat(x[c]) * r));
  }
  float meanProduct = reduce<THREADS, Sum>(products.value()) / C;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float g = weight ? toFloat(dy[c]) * weight[c] : toFloat(dy[c]);
    dx[c] = fromFloat<T>(r * (g - toFloat(x[c]) * r * meanProduct));
  }
}

// The sums of dy ⊙ x̂ over a chunk of rows, into partials [chunks, C]. A tile of 32 columns by 8
// threads. Grid: (C / 32, chunks).
template <typename T>
__device__ __forceinline__ void parameters(
    const T* x, const float* rstd, const T* dy, float* partials, u32 N, u32 C, u32 chunk) {
  __shared__ float weights[8][33];
  u32 c = blockIdx.x * 32 + threadIdx.x;
  u32 start = blockIdx.y * chunk;
  u32 end = min(start + chunk, N);
  TwoLevelSum weight;
  if (c < C) {
    for (u32 row = start + threadIdx.y; row < end; row += 8) {
      weight.add(toFloat(dy[(i64)row * C + c]) * (toFloat(x[(i64)row * C + c]) * rstd[row]));
    }
  }
  weights[threadIdx.y][threadIdx.x] = weight.value();
  __syncthreads();
  if (threadIdx.y == 0 && c < C) {
    float sum = 0;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      sum += weights[k][threadIdx.x];
    }
    partials[(i64)blockIdx.y * C + c] = sum;
  }
}

#define RMS_NORM_FORWARD(THREADS, group, T, type)                                            \
  extern "C" __global__ void __launch_bounds__(256) rms_norm_##group##_##type(               \
      const T* x, const float* weight, float epsilon, T* y, float* rstd, u32 N, u32 C) {     \
    forward<THREADS>(x, weight, epsilon, y, rstd, N, C);                                     \
  }                                                                                          \
  extern "C" __global__ void __launch_bounds__(256) rms_norm_gradient_##group##_##type(      \
      const T* x, const float* weight, const float* rstd, const T* dy, T* dx, u32 N, u32 C) { \
    gradient<THREADS>(x, weight, rstd, dy, dx, N, C);                                        \
  }
#define RMS_NORM(T, type)                                                                    \
  RMS_NORM_FORWARD(32, warp, T, type)                                                        \
  RMS_NORM_FORWARD(256, block, T, type)                                                      \
  extern "C" __global__ void __launch_bounds__(256) rms_norm_gradient_parameters_##type(     \
      const T* x, const float* rstd, const T* dy, float* partials, u32 N, u32 C, u32 chunk) { \
    parameters(x, rstd, dy, partials, N, C, chunk);                                          \
  }

RMS_NORM(float, f32)
RMS_NORM(bf16, bf16)
RMS_NORM(f16, f16)
