// One AdamW step of every parameter in one launch. Source: arXiv:1711.05101, algorithm 2.
#include "fornax.cuh"
#include "slots.cuh"

// The indices of fornax.backend.AdamWFactors.
enum { DECAY = 0, REST_1 = 1, BETA_2 = 2, REST_2 = 3, STEP_SIZE = 4, ROOT_CORRECTION = 5, EPSILON = 6 };

// A slot's arrays: parameter, gradient, first and second moment, and perhaps a copy of the parameter.
// Nothing changes where the scale is not finite.
extern "C" __global__ void __launch_bounds__(256)
    adam_w(const Slot* slots, u32 count, const float* factors, const float* scale) {
  float s = *scale;
  if (s * 0 != 0) {
    return;
  }
  Slot slot = slotOf(slots, count, blockIdx.x);
  i64 start = (blockIdx.x - slot.firstChunk) * CHUNK;
  i64 end = min(start + CHUNK, slot.elements);
  float decay = factors[DECAY];
  float rest1 = factors[REST_1];
  float beta2 = factors[BETA_2];
  float rest2 = factors[REST_2];
  float stepSize = factors[STEP_SIZE];
  float rootCorrection = factors[ROOT_CORRECTION];
  float epsilon = factors[EPSILON];
#pragma unroll 4
  for (i64 i = start + threadIdx.x; i < end; i += 256) {
    float g = s * slot.p[1][i];
    float m = slot.p[2][i];
    m += rest1 * (g - m);
    float v = beta2 * slot.p[3][i] + rest2 * (g * g);
    slot.p[2][i] = m;
    slot.p[3][i] = v;
    float update = stepSize * (m / (sqrtf(v) * rootCorrection + epsilon));
    float p = decay * slot.p[0][i] - update;
    slot.p[0][i] = p;
    if (slot.copy) {
      slot.copy[i] = fromFloat<bf16>(p);
    }
  }
}
