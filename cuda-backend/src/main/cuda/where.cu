// y = condition ? a : b, by the size of an element.
#include "fornax.cuh"
#include "strided.cuh"

template <typename V>
__device__ __forceinline__ void where(
    const u8* condition, const V* a, const V* b, V* y, const Strided<4>& loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[4];
    place(loop, i, at);
    y[at[3]] = condition[at[0]] ? a[at[1]] : b[at[2]];
  }
}

#define WHERE(V, bytes)                                                                       \
  extern "C" __global__ void __launch_bounds__(256) where_strided_##bytes(                    \
      const u8* condition, const V* a, const V* b, V* y, Strided<4> loop, u32 n) {            \
    where(condition, a, b, y, loop, n);                                                       \
  }

WHERE(u8, 1)
WHERE(u16, 2)
WHERE(u32, 4)
