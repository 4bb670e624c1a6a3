// Softmax and log-softmax along an axis, and their gradients.
// Shapes: x, y [outer, n, inner], contiguous. Source: arXiv:1805.02867, algorithm 2 (the safe form).
// A row of −∞ gives NaN.
#include "fornax.cuh"

// A warp or a block to a row (inner = 1). The row is read three times, from the cache after the
// first.
template <int THREADS, bool LOG, typename T>
__device__ __forceinline__ void rows(const T* x, T* y, u32 outer, u32 n) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= outer) {
    return;
  }
  x += (i64)row * n;
  y += (i64)row * n;
  float m = -infinity();
  for (u32 i = threadIdx.x; i < n; i += THREADS) {
    m = Max::apply(m, toFloat(x[i]));
  }
  m = reduce<THREADS, Max>(m);
  TwoLevelSum sum;
  for (u32 i = threadIdx.x; i < n; i += THREADS) {
    sum.add(expf(toFloat(x[i]) - m));
  }
  float total = reduce<THREADS, Sum>(sum.value());
  float scale = LOG ? logf(total) : 1 / total;
  for (u32 i = threadIdx.x; i < n; i += THREADS) {
    float shifted = toFloat(x[i]) - m;
    y[i] = fromFloat<T>(LOG ? shifted - scale : expf(shifted) * scale);
  }
}

// A thread to a column (inner > 1): neighbouring threads read neighbouring elements.
template <bool LOG, typename T>
__device__ __forceinline__ void columns(const T* x, T* y, u32 outer, u32 n, u32 inner) {
  u32 column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= outer * inner) {
    return;
  }
  i64 start = (i64)(column / inner) * n * inner + column % inner;
  x += start;
  y += start;
  float m = -infinity();
  for (u32 i = 0; i < n; i++) {
    m = Max::apply(m, toFloat(x[(i64)i * inner]));
  }
  TwoLevelSum sum;
  for (u32 i = 0; i < n; i++) {
    sum.add(expf(toFloat(x[(i64)i * inner]) - m));
  }
  float scale = LOG ? logf(sum.value()) : 1 / sum.value();
  for (u32 i = 0; i < n; i++) {
    float shifted = toFloat(x[(i64)i * inner]) - m;
    y[(i64)i * inner] = fromFloat<T>(LOG ? shifted - scale : expf(shifted) * scale);
  }
}

// Softmax: dx = y ⊙ (dy − Σ dy⊙y). Log-softmax: dx = dy − exp(y)·Σ dy.
template <bool LOG>
__device__ __forceinline__ float term(float y, float dy) {
  return LOG ? dy : dy * y;
}

template <bool LOG>
__device__ __forceinline__ float gradient(float y, float dy, float sum) {
  return LOG ? dy - expf(y) * sum : y * (dy - sum);
}

template <int THREADS, bool LOG, typename T>
__device__ __forceinline__ void gradientRows(const T* y, const T* dy, T* dx, u32 outer, u32 n) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= outer) {
    return;
  }
  y += (i64)row * n;
  dy += (i64)row * n;
  dx += (i64)row * n;
  TwoLevelSum sum;
  for (u32 i = threadIdx.x; i < n; i += THREADS) {
    sum.add(term<LOG>(toFloat(y[i]), toFloat(dy[i])));
  }
  float total = reduce<THREADS, Sum>(sum.value());
  for (u32 i = threadIdx.x; i < n; i += THREADS) {
    dx[i] = fromFloat<T>(gradient<LOG>(toFloat(y[i]), toFloat(dy[i]), total));
  }
}

template <bool LOG, typename T>
__device__ __forceinline__ void gradientColumns(
    const T* y, const T* dy, T* dx, u32 outer, u32 n, u32 inner) {
  u32 column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= outer * inner) {
    return;
  }
  i64 start = (i64)(column / inner) * n * inner + column % inner;
  TwoLevelSum sum;
  for (u32 i = 0; i < n; i++) {
    i64 at = start + (i64)i * inner;
    sum.add(term<LOG>(toFloat(y[at]), toFloat(dy[at])));
  }
  for (u32 i = 0; i < n; i++) {
    i64 at = start + (i64)i * inner;
    dx[at] = fromFloat<T>(gradient<LOG>(toFloat(y[at]), toFloat(dy[at]), sum.value()));
  }
}

#define SOFTMAX(name, LOG, T, type)                                                               \
  extern "C" __global__ void __launch_bounds__(256)                                               \
      name##_warp_##type(const T* x, T* y, u32 outer, u32 n) {                                    \
    rows<32, LOG>(x, y, outer, n);                                                                \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256)                                               \
      name##_block_##type(const T* x, T* y, u32 outer, u32 n) {                                   \
    rows<256, LOG>(x, y, outer, n);                                                               \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256)                                               \
      name##_columns_##type(const T* x, T* y, u32 outer, u32 n, u32 inner) {                      \
    columns<LOG>(x, y, outer, n, inner);                                                          \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256)                                               \
      name##_gradient_warp_##type(const T* y, const T* dy, T* dx, u32 outer, u32 n) {             \
    gradientRows<32, LOG>(y, dy, dx, outer, n);                                                   \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256)                                               \
      name##_gradient_block_##type(const T* y, const T* dy, T* dx, u32 outer, u32 n) {            \
    gradientRows<256, LOG>(y, dy, dx, outer, n);                                                  \
  }                                                                                               \
  extern "C" __global__ void __launch_bounds__(256)                                               \
      name##_gradient_columns_##type(const T* y, const T* dy, T* dx, u32 outer, u32 n, u32 inner) { \
    gradientColumns<LOG>(y, dy, dx, outer, n, inner);                                             \
  }

SOFTMAX(softmax, false, float, f32)
SOFTMAX(softmax, false, bf16, bf16)
SOFTMAX(softmax, false, f16, f16)
SOFTMAX(log_softmax, true, float, f32)
SOFTMAX(log_softmax, true, bf16, bf16)
SOFTMAX(log_softmax, true, f16, f16)
