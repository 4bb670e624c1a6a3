// Elements as unsigned numbers of the same order: NaN above everything, −0 equal to 0. A key has the
// order in its upper and the index in its lower half, so that no two are equal and every way of
// sorting them is stable.
#pragma once

__device__ __forceinline__ u32 orderOf(const void* x, int type, i64 at) {
  if (type == I32) {
    return (u32) static_cast<const int*>(x)[at] ^ 0x80000000u;
  }
  if (type == BOOL) {
    return static_cast<const u8*>(x)[at];
  }
  float value = loadFloat(x, type, at);
  if (isNan(value)) {
    return 0xffffffffu;
  }
  u32 bits = __float_as_uint(value + 0.0f);  // −0 + 0 = 0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ u64 keyOf(u32 order, bool descending, u32 index) {
  return (u64)(descending ? ~order : order) << 32 | index;
}
