// √Σx² over the elements of many arrays, in two launches and a fixed order; and the factor by which
// gradients are clipped. All of it stays on the device.
#include "fornax.cuh"
#include "slots.cuh"

// partials[chunk] = Σx² of the chunk.
extern "C" __global__ void __launch_bounds__(256)
    global_norm_partials(const Slot* slots, u32 count, float* partials) {
  Slot slot = slotOf(slots, count, blockIdx.x);
  i64 start = (blockIdx.x - slot.firstChunk) * CHUNK;
  i64 end = min(start + CHUNK, slot.elements);
  const float* x = slot.p[0];
  TwoLevelSum sum;
  for (i64 i = start + threadIdx.x; i < end; i += 256) {
    sum.add(x[i] * x[i]);
  }
  float total = reduce<256, Sum>(sum.value());
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = total;
  }
}

// *y = √Σ partials. One block.
extern "C" __global__ void __launch_bounds__(256)
    global_norm_finish(const float* partials, u32 n, float* y) {
  TwoLevelSum sum;
  for (u32 i = threadIdx.x; i < n; i += 256) {
    sum.add(partials[i]);
  }
  float total = reduce<256, Sum>(sum.value());
  if (threadIdx.x == 0) {
    *y = sqrtf(total);
  }
}

// *y = min(1, maxNorm / (norm + 1e-6)), NaN where the norm is not finite.
extern "C" __global__ void global_norm_clip_scale(const float* norm, float maxNorm, float* y) {
  float zero = *norm * 0;
  *y = Min::apply(maxNorm / (*norm + 1e-6f), 1) + zero;
}
