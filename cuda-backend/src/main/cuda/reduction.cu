// Sum, maximum and minimum over any axes of any layout.
//
// The host splits the axes into kept and reduced ones, and a long reduction into chunks whose
// results lie in a workspace [outputs, chunks] or [chunks, outputs] and are reduced by a second
// launch. The order of all additions depends on the shapes alone.
#include "fornax.cuh"
#include "strided.cuh"

struct IntSum {
  static __device__ __forceinline__ int identity() { return 0; }
  static __device__ __forceinline__ int apply(int a, int b) { return (int)((u32)a + (u32)b); }
};

struct IntMax {
  static __device__ __forceinline__ int identity() { return 0x80000000; }
  static __device__ __forceinline__ int apply(int a, int b) { return max(a, b); }
};

struct IntMin {
  static __device__ __forceinline__ int identity() { return 0x7fffffff; }
  static __device__ __forceinline__ int apply(int a, int b) { return min(a, b); }
};

// How a thread folds its own elements: in two levels, which for sums keeps the error small.
template <typename Op, typename V>
struct Fold {
  V total = Op::identity();
  V block = Op::identity();
  int count = 0;

  __device__ __forceinline__ void add(V x) {
    block = Op::apply(block, x);
    if (++count == 16) {
      total = Op::apply(total, block);
      block = Op::identity();
      count = 0;
    }
  }

  __device__ __forceinline__ V value() const { return Op::apply(total, block); }
};

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

// One block (or warp) to an output and chunk: neighbours along the reduced axes are read together.
// Grid: (outputs / blockDim.y, chunks). `kept` gives x's and y's place of an output, `reduced` x's
// place within it.
template <int THREADS, typename Op, typename V>
__device__ __forceinline__ void rows(
    const void* x, int xType, void* y, int yType, const Strided<2>& kept, const Strided<1>& reduced,
    u32 outputs, u32 count, u32 chunk) {
  u32 output = blockIdx.x * blockDim.y + threadIdx.y;
  if (output >= outputs) {
    return;
  }
  i64 at[2];
  place(kept, output, at);
  u32 start = blockIdx.y * chunk;
  u32 end = min(start + chunk, count);
  Fold<Op, V> fold;
  for (u32 i = start + threadIdx.x; i < end; i += THREADS) {
    i64 within[1];
    place(reduced, i, within);
    fold.add(element(x, xType, at[0] + within[0], V()));
  }
  V value = reduce<THREADS, Op>(fold.value());
  if (threadIdx.x == 0) {
    if (gridDim.y == 1) {
      put(y, yType, at[1], value);
    } else {
      static_cast<V*>(y)[(i64)output * gridDim.y + blockIdx.y] = value;
    }
  }
}

// A tile of 32 outputs by 8 threads each: neighbours along the kept axes are read together.
// Grid: (outputs / 32, chunks).
template <typename Op, typename V>
__device__ __forceinline__ void columns(
    const void* x, int xType, void* y, int yType, const Strided<2>& kept, const Strided<1>& reduced,
    u32 outputs, u32 count, u32 chunk) {
  __shared__ V partial[8][33];
  u32 output = blockIdx.x * 32 + threadIdx.x;
  i64 at[2] = {0, 0};
  Fold<Op, V> fold;
  if (output < outputs) {
    place(kept, output, at);
    u32 start = blockIdx.y * chunk;
    u32 end = min(start + chunk, count);
    for (u32 i = start + threadIdx.y; i < end; i += 8) {
      i64 within[1];
      place(reduced, i, within);
      fold.add(element(x, xType, at[0] + within[0], V()));
    }
  }
  partial[threadIdx.y][threadIdx.x] = fold.value();
  __syncthreads();
  if (threadIdx.y == 0 && output < outputs) {
    V value = partial[0][threadIdx.x];
#pragma unroll
    for (int k = 1; k < 8; k++) {
      value = Op::apply(value, partial[k][threadIdx.x]);
    }
    if (gridDim.y == 1) {
      put(y, yType, at[1], value);
    } else {
      static_cast<V*>(y)[(i64)blockIdx.y * outputs + output] = value;
    }
  }
}

#define REDUCE_ARGUMENTS                                                                     \
  const void *x, int xType, void *y, int yType, Strided<2> kept, Strided<1> reduced,         \
      u32 outputs, u32 count, u32 chunk
#define REDUCE(Op, V, name)                                                                  \
  extern "C" __global__ void __launch_bounds__(256) reduce_warp_##name(REDUCE_ARGUMENTS) {   \
    rows<32, Op, V>(x, xType, y, yType, kept, reduced, outputs, count, chunk);               \
  }                                                                                          \
  extern "C" __global__ void __launch_bounds__(256) reduce_block_##name(REDUCE_ARGUMENTS) {  \
    rows<256, Op, V>(x, xType, y, yType, kept, reduced, outputs, count, chunk);              \
  }                                                                                          \
  extern "C" __global__ void __launch_bounds__(256) reduce_columns_##name(REDUCE_ARGUMENTS) { \
    columns<Op, V>(x, xType, y, yType, kept, reduced, outputs, count, chunk);                \
  }

REDUCE(Sum, float, sum_f32)
REDUCE(Max, float, max_f32)
REDUCE(Min, float, min_f32)
REDUCE(IntSum, int, sum_i32)
REDUCE(IntMax, int, max_i32)
REDUCE(IntMin, int, min_i32)

// y [columns] = or += the sum of partials [chunks, columns] over chunks: the last step of the
// gradients of biases and norm weights.
extern "C" __global__ void __launch_bounds__(256) reduce_partials(
    const float* partials, u32 chunks, u32 columns, float* y, int accumulate) {
  u32 column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column < columns) {
    TwoLevelSum sum;
    for (u32 chunk = 0; chunk < chunks; chunk++) {
      sum.add(partials[(i64)chunk * columns + column]);
    }
    y[column] = accumulate ? y[column] + sum.value() : sum.value();
  }
}
