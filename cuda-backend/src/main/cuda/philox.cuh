// Philox 4x32-10 with fornax.backend.Philox's bits.
// Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.
#pragma once

// The four words of block `block` of `stream`; state is [seed low, seed high, step low, step high].
__device__ __forceinline__ uint4 philox(const u32* state, u32 stream, u32 block) {
  u32 key0 = state[0];
  u32 key1 = state[1];
  u32 c0 = block;
  u32 c1 = stream;
  u32 c2 = state[2];
  u32 c3 = state[3];
#pragma unroll
  for (int round = 0; round < 10; round++) {
    u32 high0 = __umulhi(0xD2511F53u, c0);
    u32 low0 = 0xD2511F53u * c0;
    u32 high1 = __umulhi(0xCD9E8D57u, c2);
    u32 low1 = 0xCD9E8D57u * c2;
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return make_uint4(c0, c1, c2, c3);
}

// In [0, 1 − 2⁻²³], exact.
__device__ __forceinline__ float uniform(u32 bits) { return (bits >> 9) * 1.1920928955078125e-7f; }
