// y[.., indices[.., i, ..], ..] += x[.., i, ..] at an axis, equal indices in rising order of i, without
// atomics. A column is one choice of the other coordinates; operands of the loop over columns:
// indices, x, y, each without the axis. `inner` is the number of columns behind the axis, by which an
// index's position is named.
#include "fornax.cuh"
#include "strided.cuh"

__device__ __forceinline__ void report(
    IndexError* error, u32 ticket, u32 column, u32 i, u32 count, u32 inner, int index) {
  i64 position = ((i64)(column / inner) * count + i) * inner + column % inner;
  reportIndex(error, ticket, position, index);
}

// Many columns or a short axis: a thread has all of one column to itself and walks along the axis.
extern "C" __global__ void __launch_bounds__(256) scatter_add(
    const int* indices, const void* x, int xType, float* y, i64 indexStride, i64 xStride,
    i64 yStride, u32 count, int axisSize, u32 inner, Strided<3> loop, u32 n, IndexError* error,
    u32 ticket) {
  u32 column = blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= n) {
    return;
  }
  i64 at[3];
  place(loop, column, at);
  for (u32 i = 0; i < count; i++) {
    int index = indices[at[0] + i * indexStride];
    if (index < 0 || index >= axisSize) {
      report(error, ticket, column, i, count, inner, index);
    } else {
      y[at[2] + index * yStride] += loadFloat(x, xType, at[1] + i * xStride);
    }
  }
}

// Few columns and a long axis: the indices come sorted along the axis, with the places they had,
// `order`, whose layout is theirs. The thread of an index's first occurrence adds all of its
// elements. Grid: (count, n / 256).
extern "C" __global__ void __launch_bounds__(256) scatter_add_sorted(
    const int* sorted, const int* order, const void* x, int xType, float* y, i64 xStride,
    i64 yStride, u32 count, int axisSize, u32 inner, Strided<3> loop, u32 n, IndexError* error,
    u32 ticket) {
  u32 first = blockIdx.x;
  u32 column = blockIdx.y * blockDim.x + threadIdx.x;
  if (column >= n) {
    return;
  }
  i64 at[3];
  place(loop, column, at);
  sorted += at[0];
  order += at[0];
  int index = sorted[first];
  if (index < 0 || index >= axisSize) {
    report(error, ticket, column, order[first], count, inner, index);
    return;
  }
  if (first > 0 && sorted[first - 1] == index) {
    return;
  }
  u32 end = first + 1;
  while (end < count && sorted[end] == index) {
    end++;
  }
  float sum = y[at[2] + index * yStride];
#pragma unroll 4
  for (u32 i = first; i < end; i++) {
    sum += loadFloat(x, xType, at[1] + order[i] * xStride);
  }
  y[at[2] + index * yStride] = sum;
}
