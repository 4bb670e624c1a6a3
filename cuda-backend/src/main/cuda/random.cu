// y = the words of a Philox stream: themselves in I32, uniform numbers in floating arrays. A thread
// makes one block of four words.
#include "fornax.cuh"
#include "philox.cuh"

extern "C" __global__ void __launch_bounds__(256)
    random_words(const u32* state, u32 stream, void* y, int type, i64 n) {
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
      if (type == I32) {
        static_cast<u32*>(y)[first + k] = word[k];
      } else {
        storeFloat(y, type, first + k, uniform(word[k]));
      }
    }
  }
}
