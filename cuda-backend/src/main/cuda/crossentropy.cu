// Cross entropy of logits and its gradient. Shapes: x, dx [N, C]; targets (I32), losses, logSumExp
// [N]; rows of x and dx begin at multiples of a pitch. With the smoothing s: loss = logSumExp − (1 − s)·x[target] − s·mean(x), 0 for ignored rows.
#include "fornax.cuh"

// A warp or a block to a row.
template <int THREADS, typename T>
__device__ __forceinline__ void forward(
    const T* x, const int* targets, int ignored, float smoothing, float* losses, float* logSumExp,
    u32 N, u32 C, i64 pitch, IndexError* error, u32 ticket) {
  u32 row = blockIdx.x * blockDim.y + threadIdx.y;
  if (row >= N) {
    return;
  }
  x += row * pitch;
  float m = -infinity();
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    m = Max::apply(m, toFloat(x[c]));
  }
  m = reduce<THREADS, Max>(m);
  TwoLevelSum exponentials;
  TwoLevelSum sum;
  for (u32 c = threadIdx.x; c < C; c += THREADS) {
    float v = toFloat(x[c]);
    exponentials.add(expf(v - m));
    sum.add(v);
  }
  float total = reduce<THREADS, Sum>(exponentials.value());
  float mean = smoothing == 0 ? 0 : reduce<THREADS, Sum>(sum.value()) / C;
  if (threadIdx.x == 0) {
    float lse = logf(total) + m;
    int target = targets[row];
    float loss = 0;
    if (target != ignored) {
      if (target < 0 || target >= C) {
        reportIndex(error, ticket, row, target);
      } else {
        loss = lse - (1 - smoothing) * toFloat(x[target]);
        loss = smoothing == 0 ? loss : loss - smoothing * mean;
      }
    }
    losses[row] = loss;
    logSumExp[row] = lse;
  }
}

// dx = (exp(x − logSumExp) − (1 − s)·onehot(target) − s/C)·dLoss; dx may be x. A block to a row.
template <typename T>
__device__ __forceinline__ void gradient(
    const T* x, const int* targets, int ignored, float smoothing, const float* logSumExp,
    const float* dLosses, i64 dLossStride, T* dx, u32 C, i64 pitch, i64 dxPitch) {
  u32 row = blockIdx.x;
  x += row * pitch;
  dx += row * dxPitch;
  int target = targets[row];
  float lse = logSumExp[row];
  float scale = dLosses[row * dLossStride];
  float hit = 1 - smoothing;
  float spread = smoothing / C;
  for (u32 c = threadIdx.x; c < C; c += blockDim.x) {
    float p = expf(toFloat(x[c]) - lse) - (c == target ? hit : 0) - spread;
    dx[c] = fromFloat<T>(target == ignored ? 0 : p * scale);
  }
}

#define CROSS_ENTROPY(T, type)                                                                   \
  extern "C" __global__ void __launch_bounds__(256) cross_entropy_warp_##type(                   \
      const T* x, const int* targets, int ignored, float smoothing, float* losses,               \
      float* logSumExp, u32 N, u32 C, i64 pitch, IndexError* error, u32 ticket) {                \
    forward<32>(x, targets, ignored, smoothing, losses, logSumExp, N, C, pitch, error, ticket);  \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(256) cross_entropy_block_##type(                  \
      const T* x, const int* targets, int ignored, float smoothing, float* losses,               \
      float* logSumExp, u32 N, u32 C, i64 pitch, IndexError* error, u32 ticket) {                \
    forward<256>(x, targets, ignored, smoothing, losses, logSumExp, N, C, pitch, error, ticket); \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(256) cross_entropy_gradient_##type(               \
      const T* x, const int* targets, int ignored, float smoothing, const float* logSumExp,      \
      const float* dLosses, i64 dLossStride, T* dx, u32 C, i64 pitch, i64 dxPitch) {             \
    gradient(                                                                                    \
        x, targets, ignored, smoothing, logSumExp, dLosses, dLossStride, dx, C, pitch, dxPitch); \
  }

CROSS_ENTROPY(float, f32)
CROSS_ENTROPY(bf16, bf16)
CROSS_ENTROPY(f16, f16)
