// y = x·factor where the element's word is at least `threshold`, else 0. The mask is never stored:
// the backward pass makes the same words again.
#include "fornax.cuh"
#include "philox.cuh"

template <typename X, typename Y>
__device__ __forceinline__ void dropout(
    const X* x, Y* y, const u32* state, u32 stream, u32 threshold, float factor, i64 n) {
  i64 block = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  i64 first = block * 4;
  if (first >= n) {
    return;
  }
  uint4 words = philox(state, stream, (u32)block);
  u32 word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (first + k < n) {
      float kept = word[k] >= threshold ? toFloat(x[first + k]) * factor : 0;
      y[first + k] = fromFloat<Y>(kept);
    }
  }
}

#define DROPOUT(X, Y, types)                                                             \
  extern "C" __global__ void __launch_bounds__(256) dropout_##types(                     \
      const X* x, Y* y, const u32* state, u32 stream, u32 threshold, float factor, i64 n) { \
    dropout(x, y, state, stream, threshold, factor, n);                                  \
  }

DROPOUT(float, float, f32)
DROPOUT(bf16, bf16, bf16)
DROPOUT(f16, f16, f16)
