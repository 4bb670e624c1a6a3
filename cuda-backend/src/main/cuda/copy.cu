// y = x with conversion and any strides.
#include "fornax.cuh"
#include "strided.cuh"

// ---- one type, by the size of an element

template <typename V>
__device__ __forceinline__ void same(const V* x, V* y, const Strided<2>& loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    y[at[1]] = x[at[0]];
  }
}

// A batch of matrices whose columns lie next to each other in x and whose rows do in y: through a
// tile of shared memory, so that both sides are read and written in runs. One column of padding
// keeps the transposed reads off each other's banks.
#define TILE 32
#define TILE_ROWS 8

template <typename V>
__device__ __forceinline__ void transpose(
    const V* x, V* y, u32 rows, u32 columns, i64 xColumn, i64 yRow, i64 xBatch, i64 yBatch) {
  __shared__ V tile[TILE][TILE + 1];
  x += blockIdx.z * xBatch;
  y += blockIdx.z * yBatch;
  u32 row = blockIdx.y * TILE + threadIdx.x;
  u32 column = blockIdx.x * TILE + threadIdx.y;
#pragma unroll
  for (int k = 0; k < TILE; k += TILE_ROWS) {
    if (row < rows && column + k < columns) {
      tile[threadIdx.y + k][threadIdx.x] = x[(column + k) * xColumn + row];
    }
  }
  __syncthreads();
  row = blockIdx.y * TILE + threadIdx.y;
  column = blockIdx.x * TILE + threadIdx.x;
#pragma unroll
  for (int k = 0; k < TILE; k += TILE_ROWS) {
    if (row + k < rows && column < columns) {
      y[(row + k) * yRow + column] = tile[threadIdx.x][threadIdx.y + k];
    }
  }
}

#define COPY(V, bytes)                                                                          \
  extern "C" __global__ void __launch_bounds__(256)                                             \
      copy_strided_##bytes(const V* x, V* y, Strided<2> loop, u32 n) {                          \
    same(x, y, loop, n);                                                                        \
  }                                                                                             \
  extern "C" __global__ void __launch_bounds__(256) copy_transpose_##bytes(                     \
      const V* x, V* y, u32 rows, u32 columns, i64 xColumn, i64 yRow, i64 xBatch, i64 yBatch) { \
    transpose(x, y, rows, columns, xColumn, yRow, xBatch, yBatch);                              \
  }

COPY(u8, 1)
COPY(u16, 2)
COPY(u32, 4)

// ---- conversions

template <typename X, typename Y>
__device__ __forceinline__ void convert(const X* x, Y* y, i64 n) {
  i64 i = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 4 <= n) {
    float v[4];
    load4(x + i, v);
    store4(y + i, v);
  } else {
    for (; i < n; i++) {
      y[i] = fromFloat<Y>(toFloat(x[i]));
    }
  }
}

#define CONVERT(X, xType, Y, yType)                           \
  extern "C" __global__ void __launch_bounds__(256)           \
      copy_##xType##_to_##yType(const X* x, Y* y, i64 n) {    \
    convert(x, y, n);                                         \
  }

CONVERT(float, f32, bf16, bf16)
CONVERT(bf16, bf16, float, f32)
CONVERT(float, f32, f16, f16)
CONVERT(f16, f16, float, f32)

// Floating to I32 truncates, NaN gives 0; to BOOL is x ≠ 0; from BOOL gives 0 or 1.
extern "C" __global__ void __launch_bounds__(256) copy_convert(
    const void* x, int xType, void* y, int yType, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) {
    return;
  }
  i64 at[2];
  place(loop, i, at);
  bool fromFloating = xType == F32 || isHalf(xType);
  bool toFloating = yType == F32 || isHalf(yType);
  if (fromFloating) {
    float value = loadFloat(x, xType, at[0]);
    if (toFloating) {
      storeFloat(y, yType, at[1], value);
    } else {
      storeInt(y, yType, at[1], yType == BOOL ? value != 0 : __float2int_rz(value));
    }
  } else {
    int value = loadInt(x, xType, at[0]);
    if (toFloating) {
      storeFloat(y, yType, at[1], __int2float_rn(value));
    } else {
      storeInt(y, yType, at[1], value);
    }
  }
}
