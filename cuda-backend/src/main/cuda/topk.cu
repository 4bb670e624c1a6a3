// The k largest elements of each row, largest first, and their indices; of equals the first. A block
// to a row: in round r it finds the least key above that of round r − 1. For small k.
// Shapes: x [rows, n], values, indices [rows, k], contiguous.
#include "fornax.cuh"
#include "order.cuh"

struct Least {
  static __device__ __forceinline__ u64 apply(u64 a, u64 b) { return a < b ? a : b; }
};

extern "C" __global__ void __launch_bounds__(256)
    top_k(const void* x, int type, void* values, int* indices, u32 n, u32 k) {
  i64 start = (i64)blockIdx.x * n;
  u64 last = 0;
  for (u32 round = 0; round < k; round++) {
    u64 best = ~0ull;
    for (u32 i = threadIdx.x; i < n; i += 256) {
      u64 key = keyOf(orderOf(x, type, start + i), true, i);
      if (round == 0 || key > last) {
        best = Least::apply(best, key);
      }
    }
    last = reduce<256, Least>(best);
    if (threadIdx.x == 0) {
      u32 index = (u32)last;
      i64 at = (i64)blockIdx.x * k + round;
      indices[at] = (int)index;
      if (isHalf(type)) {
        static_cast<u16*>(values)[at] = static_cast<const u16*>(x)[start + index];
      } else if (type == BOOL) {
        static_cast<u8*>(values)[at] = static_cast<const u8*>(x)[start + index];
      } else {
        static_cast<u32*>(values)[at] = static_cast<const u32*>(x)[start + index];
      }
    }
  }
}
