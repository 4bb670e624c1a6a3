// Rows of a table by index, and the gradient of the table. Shapes: table [V, C], indices (I32) [N],
// y, dy [N, C].
#include "fornax.cuh"

// A block to a row of y.
template <typename T>
__device__ __forceinline__ void forward(
    const T* table, const int* indices, T* y, int V, u32 C, IndexError* error, u32 ticket) {
  u32 row = blockIdx.x;
  int index = indices[row];
  if (index < 0 || index >= V) {
    if (threadIdx.x == 0) {
      reportIndex(error, ticket, row, index);
    }
    return;
  }
  for (u32 c = threadIdx.x; c < C; c += blockDim.x) {
    y[(i64)row * C + c] = table[(i64)index * C + c];
  }
}

// dTable[indices[i]] += dy[i], equal indices in rising order of i, without atomics and without a
// sort: block i has work only if no earlier index equals its own; then it lists the equal ones in
// chunks of the block's size, in order, and adds their rows. The N² comparisons are of 4-byte
// integers that lie in the cache: N = 8,192 are 256 MB of reads.
#define THREADS 256

template <typename T>
__device__ __forceinline__ void backward(
    const T* dy, const int* indices, float* dTable, u32 N, int V, u32 C, IndexError* error,
    u32 ticket) {
  __shared__ u32 matches[THREADS];
  __shared__ u32 warpCounts[THREADS / 32];
  u32 row = blockIdx.x;
  int index = indices[row];
  if (index < 0 || index >= V) {
    if (threadIdx.x == 0) {
      reportIndex(error, ticket, row, index);
    }
    return;
  }
  for (u32 start = 0; start < row; start += THREADS) {
    u32 i = start + threadIdx.x;
    if (__syncthreads_or(i < row && indices[i] == index)) {
      return;  // an earlier block has this index
    }
  }
  u32 lane = threadIdx.x % 32;
  u32 warp = threadIdx.x / 32;
  dTable += (i64)index * C;
  for (u32 start = row; start < N; start += THREADS) {
    u32 i = start + threadIdx.x;
    bool match = i < N && indices[i] == index;
    u32 ballot = __ballot_sync(ALL_LANES, match);
    if (lane == 0) {
      warpCounts[warp] = __popc(ballot);
    }
    __syncthreads();
    u32 before = 0;
    u32 count = 0;
#pragma unroll
    for (u32 w = 0; w < THREADS / 32; w++) {
      before += w < warp ? warpCounts[w] : 0;
      count += warpCounts[w];
    }
    if (match) {
      matches[before + __popc(ballot & ((1u << lane) - 1))] = i;
    }
    __syncthreads();
    if (count > 0) {
      for (u32 c = threadIdx.x; c < C; c += THREADS) {
        float sum = dTable[c];
        for (u32 k = 0; k < count; k++) {
          sum += toFloat(dy[(i64)matches[k] * C + c]);
        }
        dTable[c] = sum;
      }
    }
    __syncthreads();
  }
}

#define EMBEDDING(T, type)                                                                      \
  extern "C" __global__ void __launch_bounds__(256) embedding_##type(                           \
      const T* table, const int* indices, T* y, int V, u32 C, IndexError* error, u32 ticket) {  \
    forward(table, indices, y, V, C, error, ticket);                                            \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) embedding_gradient_##type(                  \
      const T* dy, const int* indices, float* dTable, u32 N, int V, u32 C, IndexError* error,   \
      u32 ticket) {                                                                             \
    backward(dy, indices, dTable, N, V, C, error, ticket);                                      \
  }

EMBEDDING(float, f32)
EMBEDDING(bf16, bf16)
