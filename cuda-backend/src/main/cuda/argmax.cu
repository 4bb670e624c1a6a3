// The index of the first largest element along an axis; NaN counts as largest. A block to a row.
// Operands of the loop: x and y without the axis.
#include "fornax.cuh"
#include "strided.cuh"
#include "order.cuh"

struct Least {
  static __device__ __forceinline__ u64 apply(u64 a, u64 b) { return a < b ? a : b; }
};

extern "C" __global__ void __launch_bounds__(256)
    argmax(const void* x, int type, int* y, i64 stride, u32 n, Strided<2> loop) {
  i64 at[2];
  place(loop, blockIdx.x, at);
  u64 best = ~0ull;
  for (u32 i = threadIdx.x; i < n; i += 256) {
    best = Least::apply(best, keyOf(orderOf(x, type, at[0] + i * stride), true, i));
  }
  best = reduce<256, Least>(best);
  if (threadIdx.x == 0) {
    y[at[1]] = (int)(u32)best;
  }
}
