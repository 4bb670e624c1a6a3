// y[.., indices[.., i, ..], ..] += x[.., i, ..] at an axis. A thread has all of one column (one
// choice of the other coordinates) to itself and walks along the axis, so that equal indices are
// added in rising order of i without atomics. Operands of the loop: indices, x, y, each without the
// axis. `inner` is the number of columns behind the axis, by which an index's position is named.
#include "fornax.cuh"
#include "strided.cuh"

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
      i64 position = ((i64)(column / inner) * count + i) * inner + column % inner;
      reportIndex(error, ticket, position, index);
    } else {
      y[at[2] + index * yStride] += loadFloat(x, xType, at[1] + i * xStride);
    }
  }
}
