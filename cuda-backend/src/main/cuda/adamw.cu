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
  u32 n = (u32) min((i64) CHUNK, slot.elements - start);
  float* parameter = slot.p[0] + start;
  const float* gradient = slot.p[1] + start;
  float* first = slot.p[2] + start;
  float* second = slot.p[3] + start;
  u16* copy = slot.copy ? static_cast<u16*>(slot.copy) + start : nullptr;
  float decay = factors[DECAY];
  float rest1 = factors[REST_1];
  float beta2 = factors[BETA_2];
  float rest2 = factors[REST_2];
  float stepSize = factors[STEP_SIZE];
  float rootCorrection = factors[ROOT_CORRECTION];
  float epsilon = factors[EPSILON];
#pragma unroll 2
  for (u32 i = threadIdx.x; i < n; i += 256) {
    float g = s * gradient[i];
    float m = first[i];
    m += rest1 * (g - m);
    float v = beta2 * second[i] + rest2 * (g * g);
    first[i] = m;
    second[i] = v;
    float update = stepSize * (m / (sqrtf(v) * rootCorrection + epsilon));
    float p = decay * parameter[i] - update;
    parameter[i] = p;
    if (copy) {
      storeFloat(copy, (int)slot.copyType, i, p);
    }
  }
}
