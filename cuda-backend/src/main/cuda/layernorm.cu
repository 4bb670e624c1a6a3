// Layer norm over the last axis and its gradient, alone or with the residual stream that it reads:
// sum = x + addend, dx = skip + gradient. Shapes: x, addend, sum, y, dy, skip, dx [N, C]; weight,
// bias [C]; mean, rstd [N]. Source: arXiv:1607.06450.
#include "fornax.cuh"

// A warp or a block to a row. The variance is taken from the centred row, not from Σx² − (Σx)². What
// the first mean lacks by rounding, `rest`, is found there too: it counts where the mean is large
// beside the deviation. ADD: x gets a + b first, rounded, as an addition would leave it; a thread
// reads back only what it wrote itself.
template <int THREADS, bool ADD, typename T>
__device__ __forceinline__ void forward(
    const T* a, const T* b, T* x, const float* weight, const float* bias, float epsilon, T* y,
    float* mean, float* rstd, u32 N, u32 C) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= N) {
    return;
  }
  x += (i64)row * C;
  y += (i64)row * C;
  TwoLevelSum sum;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    if (ADD) {
      x[c] = fromFloat<T>(toFloat(a[(i64)row * C + c]) + toFloat(b[(i64)row * C + c]));
    }
    sum.add(toFloat(x[c]));
  }
  float m = reduce<THREADS, Sum>(sum.value()) / C;
  TwoLevelSum rests;
  TwoLevelSum squares;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float centred = toFloat(x[c]) - m;
    rests.add(centred);
    squares.add(centred * centred);
  }
  float rest = reduce<THREADS, Sum>(rests.value()) / C;
  float variance = reduce<THREADS, Sum>(squares.value()) / C - rest * rest;
  float r = 1 / sqrtf(variance + epsilon);
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float value = (toFloat(x[c]) - m - rest) * r;
    value = weight ? value * weight[c] : value;
    y[c] = fromFloat<T>(bias ? value + bias[c] : value);
  }
  if (threadIdx.x == 0) {
    mean[row] = m + rest;
    rstd[row] = r;
  }
}

// x̂ = (x − mean − rest)·rstd, g = dy ⊙ weight, dx = rstd·(g − mean(g) − x̂·mean(g ⊙ x̂)), where `rest`
// [N] is what rounding left of the mean; it is found here, for `parameters` too. dx null: only that.
// dx may be skip.
template <int THREADS, typename T>
__device__ __forceinline__ void gradient(
    const T* x, const float* weight, const float* mean, const float* rstd, const T* dy,
    const T* skip, T* dx, float* rest, u32 N, u32 C) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= N) {
    return;
  }
  x += (i64)row * C;
  dy += (i64)row * C;
  float m = mean[row];
  float r = rstd[row];
  TwoLevelSum rests;
  TwoLevelSum gs;
  TwoLevelSum products;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float g = weight ? toFloat(dy[c]) * weight[c] : toFloat(dy[c]);
    float centred = toFloat(x[c]) - m;
    rests.add(centred);
    gs.add(g);
    products.add(g * (centred * r));
  }
  float left = reduce<THREADS, Sum>(rests.value()) / C;
  if (threadIdx.x == 0) {
    rest[row] = left;
  }
  if (!dx) {
    return;
  }
  dx += (i64)row * C;
  float meanG = reduce<THREADS, Sum>(gs.value()) / C;
  float meanProduct = reduce<THREADS, Sum>(products.value()) / C - left * r * meanG;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float g = weight ? toFloat(dy[c]) * weight[c] : toFloat(dy[c]);
    float normal = (toFloat(x[c]) - m - left) * r;
    float d = r * (g - meanG - normal * meanProduct);
    dx[c] = fromFloat<T>(skip ? toFloat(skip[(i64)row * C + c]) + d : d);
  }
}

// The sums of dy ⊙ x̂ and of dy over a chunk of rows, into partials [chunks, C] each. A tile of 32
// columns by 8 threads. Grid: (C / 32, chunks).
template <typename T>
__device__ __forceinline__ void parameters(
    const T* x, const float* mean, const float* rest, const float* rstd, const T* dy,
    float* weightPartials, float* biasPartials, u32 N, u32 C, u32 chunk) {
  __shared__ float weights[8][33];
  __shared__ float biases[8][33];
  u32 c = blockIdx.x * 32 + threadIdx.x;
  u32 start = blockIdx.y * chunk;
  u32 end = min(start + chunk, N);
  TwoLevelSum weight;
  TwoLevelSum bias;
  if (c < C) {
    for (u32 row = start + threadIdx.y; row < end; row += 8) {
      float d = toFloat(dy[(i64)row * C + c]);
      weight.add(d * ((toFloat(x[(i64)row * C + c]) - mean[row] - rest[row]) * rstd[row]));
      bias.add(d);
    }
  }
  weights[threadIdx.y][threadIdx.x] = weight.value();
  biases[threadIdx.y][threadIdx.x] = bias.value();
  __syncthreads();
  if (threadIdx.y == 0 && c < C) {
    float weightSum = 0;
    float biasSum = 0;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      weightSum += weights[k][threadIdx.x];
      biasSum += biases[k][threadIdx.x];
    }
    i64 at = (i64)blockIdx.y * C + c;
    if (weightPartials) {
      weightPartials[at] = weightSum;
    }
    if (biasPartials) {
      biasPartials[at] = biasSum;
    }
  }
}

#define LAYER_NORM_ROWS(THREADS, group, T, type)                                                \
  extern "C" __global__ void __launch_bounds__(256) layer_norm_##group##_##type(                \
      const T* x, const float* weight, const float* bias, float epsilon, T* y, float* mean,     \
      float* rstd, u32 N, u32 C) {                                                              \
    forward<THREADS, false>(                                                                    \
        (const T*)0, (const T*)0, (T*)x, weight, bias, epsilon, y, mean, rstd, N, C);           \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) add_layer_norm_##group##_##type(            \
      const T* x, const T* addend, const float* weight, const float* bias, float epsilon,       \
      T* sum, T* y, float* mean, float* rstd, u32 N, u32 C) {                                   \
    forward<THREADS, true>(x, addend, sum, weight, bias, epsilon, y, mean, rstd, N, C);         \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) layer_norm_gradient_##group##_##type(       \
      const T* x, const float* weight, const float* mean, const float* rstd, const T* dy,       \
      const T* skip, T* dx, float* rest, u32 N, u32 C) {                                        \
    gradient<THREADS>(x, weight, mean, rstd, dy, skip, dx, rest, N, C);                         \
  }
#define LAYER_NORM(T, type)                                                                     \
  LAYER_NORM_ROWS(32, warp, T, type)                                                            \
  LAYER_NORM_ROWS(256, block, T, type)                                                          \
  extern "C" __global__ void __launch_bounds__(256) layer_norm_gradient_parameters_##type(      \
      const T* x, const float* mean, const float* rest, const float* rstd, const T* dy,         \
      float* weightPartials, float* biasPartials, u32 N, u32 C, u32 chunk) {                    \
    parameters(x, mean, rest, rstd, dy, weightPartials, biasPartials, N, C, chunk);             \
  }

LAYER_NORM(float, f32)
LAYER_NORM(bf16, bf16)
LAYER_NORM(f16, f16)
