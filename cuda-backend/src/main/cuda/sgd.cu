// One SGD step of every parameter in one launch. Source: Sutskever et al., ICML 2013, as PyTorch
// words it.
#include "fornax.cuh"
#include "slots.cuh"

// The indices of fornax.backend.SgdFactors.
enum { RATE = 0, MOMENTUM = 1, WEIGHT_DECAY = 2, NESTEROV = 3 };

// A slot's arrays: parameter, gradient, velocity, and perhaps a copy of the parameter. Nothing
// changes where the scale is not finite.
extern "C" __global__ void __launch_bounds__(256)
    sgd(const Slot* slots, u32 count, const float* factors, const float* scale) {
  float s = *scale;
  if (s * 0 != 0) {
    return;
  }
  Slot slot = slotOf(slots, count, blockIdx.x);
  i64 start = (blockIdx.x - slot.firstChunk) * CHUNK;
  i64 end = min(start + CHUNK, slot.elements);
  float rate = factors[RATE];
  float momentum = factors[MOMENTUM];
  float weightDecay = factors[WEIGHT_DECAY];
  bool nesterov = factors[NESTEROV] != 0;
#pragma unroll 4
  for (i64 i = start + threadIdx.x; i < end; i += 256) {
    float p = slot.p[0][i];
    float g = s * slot.p[1][i] + weightDecay * p;
    float v = momentum * slot.p[2][i] + g;
    slot.p[2][i] = v;
    p -= rate * (nesterov ? g + momentum * v : v);
    slot.p[0][i] = p;
    if (slot.copy) {
      storeFloat(slot.copy, (int)slot.copyType, i, p);
    }
  }
}
