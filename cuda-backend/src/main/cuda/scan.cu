// y = cumulative sum of x along an axis. A block to a row, which it walks in pieces of its size: a
// scan by shuffles within each warp, over the warps through shared memory, and a carry.
// Operands of the loop: x and y without the axis.
#include "fornax.cuh"
#include "strided.cuh"

#define THREADS 256

__device__ __forceinline__ float element(const void* x, int type, i64 at, float) {
  return loadFloat(x, type, at);
}

__device__ __forceinline__ int element(const void* x, int type, i64 at, int) {
  return static_cast<const int*>(x)[at];
}

__device__ __forceinline__ void put(void* y, int type, i64 at, float value) {
  storeFloat(y, type, at, value);
}

__device__ __forceinline__ void put(void* y, int, i64 at, int value) {
  static_cast<int*>(y)[at] = value;
}

template <typename V>
__device__ __forceinline__ void scan(
    const void* x, int xType, void* y, int yType, i64 xStride, i64 yStride, u32 n,
    const Strided<2>& loop) {
  __shared__ V warpTotals[THREADS / 32];
  i64 at[2];
  place(loop, blockIdx.x, at);
  u32 lane = threadIdx.x % 32;
  u32 warp = threadIdx.x / 32;
  V carry = 0;
  for (u32 start = 0; start < n; start += THREADS) {
    u32 i = start + threadIdx.x;
    V value = i < n ? element(x, xType, at[0] + i * xStride, V()) : V(0);
#pragma unroll
    for (int step = 1; step < 32; step <<= 1) {
      V left = __shfl_up_sync(ALL_LANES, value, step);
      value += lane >= step ? left : V(0);
    }
    if (lane == 31) {
      warpTotals[warp] = value;
    }
    __syncthreads();
    V before = carry;
#pragma unroll
    for (u32 w = 0; w < THREADS / 32; w++) {
      before += w < warp ? warpTotals[w] : V(0);
      carry += warpTotals[w];
    }
    if (i < n) {
      put(y, yType, at[1] + i * yStride, before + value);
    }
    __syncthreads();
  }
}

extern "C" __global__ void __launch_bounds__(256) cumulative_sum_f32(
    const void* x, int xType, void* y, int yType, i64 xStride, i64 yStride, u32 n,
    Strided<2> loop) {
  scan<float>(x, xType, y, yType, xStride, yStride, n, loop);
}

extern "C" __global__ void __launch_bounds__(256) cumulative_sum_i32(
    const void* x, int xType, void* y, int yType, i64 xStride, i64 yStride, u32 n,
    Strided<2> loop) {
  scan<int>(x, xType, y, yType, xStride, yStride, n, loop);
}
