// y[.., i, ..] = x[.., indices[.., i, ..], ..] at an axis, by the size of an element. Operands of
// the loop: indices, x without the axis, y. A bad index is reported and its element left alone.
#include "fornax.cuh"
#include "strided.cuh"

template <typename V>
__device__ __forceinline__ void gather(
    const int* indices, const V* x, V* y, i64 axisStride, int axisSize, i64 first,
    const Strided<3>& loop, u32 n, IndexError* error, u32 ticket) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[3];
    place(loop, i, at);
    int index = indices[at[0]];
    if (index < 0 || index >= axisSize) {
      reportIndex(error, ticket, first + i, index);
    } else {
      y[at[2]] = x[at[1] + index * axisStride];
    }
  }
}

#define GATHER(V, bytes)                                                                     \
  extern "C" __global__ void __launch_bounds__(256) gather_##bytes(                          \
      const int* indices, const V* x, V* y, i64 axisStride, int axisSize, i64 first,         \
      Strided<3> loop, u32 n, IndexError* error, u32 ticket) {                               \
    gather(indices, x, y, axisStride, axisSize, first, loop, n, error, ticket);              \
  }

GATHER(u8, 1)
GATHER(u16, 2)
GATHER(u32, 4)
