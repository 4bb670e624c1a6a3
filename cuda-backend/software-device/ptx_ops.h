// PTX instructions as C functions: a translated kernel includes this file. Registers are unsigned
// integers of their width; floating-point values are read from and written to their bits.

#ifndef SOFTWARE_CUDA_PTX_OPS_H
#define SOFTWARE_CUDA_PTX_OPS_H

#include "device.h"

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((unused))
#define SHARED_FUNCTION static __attribute__((unused, noinline))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

// ---- memory ----

SHARED_FUNCTION void *at_global(Thread *t, u64 a, u32 bytes, int access, int line) {
  Runtime *rt = t->rt;
  (void)access;
  if (UNLIKELY(--rt->fuel <= 0)) rt->preempt(t);
  u64 offset = a - rt->arena;
  if (offset < rt->arena_bytes && !(a & (bytes - 1))) {
    const Range *r = rt->ranges + rt->pages[offset >> 12];
    if (a >= r->lo && a + bytes <= r->hi && r->device == rt->device) return (void *)a;
  }
  return rt->global_slow(t, a, bytes, line);
}

SHARED_FUNCTION void *at_shared(Thread *t, u64 address, u32 bytes, int access, int line) {
  Runtime *rt = t->rt;
  Block *b = t->block;
  u32 a = (u32)address;
  if (UNLIKELY(--rt->fuel <= 0)) rt->preempt(t);
  if (UNLIKELY(address >> TAG_SHIFT == SHARED_TAG)) rt->fault(t, line, 716, "generic address used as an address of shared memory", address, bytes);
  if (UNLIKELY(a & (bytes - 1))) rt->fault(t, line, 716, "misaligned access to shared memory", a - SPACE_START, bytes);
  if (UNLIKELY((u64)a + bytes > b->shared_bytes || !b->shared_valid[a] || !b->shared_valid[a + bytes - 1]))
    rt->fault(t, line, 700, "access outside every variable of shared memory", (u64)a - SPACE_START, bytes);
  if (UNLIKELY(rt->races)) rt->race(t, a, bytes, access, line);
  return b->shared + a;
}

SHARED_FUNCTION void *at_local(Thread *t, u64 a, u32 bytes, int access, int line) {
  (void)access;
  if (UNLIKELY(a & (bytes - 1))) t->rt->fault(t, line, 716, "misaligned access to local memory", a - SPACE_START, bytes);
  if (UNLIKELY(a < SPACE_START || a + bytes > t->local_top)) t->rt->fault(t, line, 700, "access outside local memory", a - SPACE_START, bytes);
  return t->local + a;
}

SHARED_FUNCTION void *at_param(Thread *t, u64 a, u32 bytes, int access, int line) {
  Block *b = t->block;
  a &= ~(PARAM_TAG << TAG_SHIFT);
  if (UNLIKELY(access != READ)) t->rt->fault(t, line, 700, "write to a kernel's parameters", a, bytes);
  if (UNLIKELY(a & (bytes - 1))) t->rt->fault(t, line, 716, "misaligned access to a kernel's parameters", a, bytes);
  if (UNLIKELY(a + bytes > b->param_bytes)) t->rt->fault(t, line, 700, "access outside a kernel's parameters", a, bytes);
  return (void *)(b->param + a);
}

SHARED_FUNCTION void *at_generic(Thread *t, u64 a, u32 bytes, int access, int line) {
  u64 offset = a & ((1ull << TAG_SHIFT) - 1);
  switch (a >> TAG_SHIFT) {
    case SHARED_TAG: return at_shared(t, offset, bytes, access, line);
    case LOCAL_TAG: return at_local(t, offset, bytes, access, line);
    case PARAM_TAG: return at_param(t, offset, bytes, access, line);
    default: return at_global(t, a, bytes, access, line);
  }
}

// A frame of local memory: poisoned, so that a value never written is seen.
INLINE u32 local_push(Thread *t, u32 bytes, int line) {
  u32 base = t->local_top;
  if (UNLIKELY(base + bytes > t->local_bytes)) t->rt->fault(t, line, 700, "local memory exhausted (recursion is not supported)", base, bytes);
  memset(t->local + base, 0xfd, bytes);
  t->local_top = base + bytes;
  return base;
}

// ---- bits and floating point ----

INLINE float f32_of(u32 x) { float f; memcpy(&f, &x, 4); return f; }
INLINE u32 bits_f32(float f) { u32 x; memcpy(&x, &f, 4); return x; }
INLINE double f64_of(u64 x) { double f; memcpy(&f, &x, 8); return f; }
INLINE u64 bits_f64(double f) { u64 x; memcpy(&x, &f, 8); return x; }

// Flushes a subnormal to zero of its sign.
INLINE float flush(float f) {
  return __builtin_fabsf(f) < 0x1p-126f ? __builtin_copysignf(0.0f, f) : f;
}
INLINE double flush_f64(double f) { return f; }

INLINE double f16_of(u16 h) {
  u32 exponent = (h >> 10) & 31, mantissa = h & 1023;
  double v;
  if (exponent == 31) v = mantissa ? (double)NAN : (double)INFINITY;
  else if (exponent == 0) v = mantissa * 0x1p-24;
  else v = f64_of((u64)(exponent + 1023 - 15) << 52 | (u64)mantissa << 42);
  return h & 0x8000 ? -v : v;
}

INLINE double bf16_of(u16 h) { return (double)f32_of((u32)h << 16); }

// Rounds to `digits` significant binary digits (fewer below `smallest`'s exponent): mode n to the
// nearest even, a to the nearest with ties away from zero, z towards zero.
SHARED_FUNCTION double round_to(double x, int digits, int smallest, char mode) {
  if (x == 0 || !isfinite(x)) return x;
  int exponent;
  frexp(x, &exponent);                        // |x| in [2^(exponent-1), 2^exponent)
  int unit = exponent - digits;
  if (unit < smallest) unit = smallest;
  double scaled = ldexp(x, -unit);
  double rounded = mode == 'z' ? trunc(scaled) : mode == 'a' ? round(scaled) : rint(scaled);
  return ldexp(rounded, unit);
}

SHARED_FUNCTION u16 f16_from(double x, char mode) {
  u16 sign = signbit(x) ? 0x8000 : 0;
  if (isnan(x)) return 0x7fff;
  x = fabs(round_to(x, 11, -24, mode));
  if (x > 65504) return sign | (mode == 'z' && !isinf(x) ? 0x7bff : 0x7c00);
  if (x < 0x1p-14) return sign | (u16)(x * 0x1p24);
  u64 b = bits_f64(x);
  return sign | (u16)(((b >> 52) - 1023 + 15) << 10 | ((b >> 42) & 1023));
}

SHARED_FUNCTION u16 bf16_from(double x, char mode) {
  if (isnan(x)) return 0x7fff;
  double r = round_to(x, 8, -133, mode);
  if (mode == 'z' && !isinf(x) && fabs(r) > 3.3895313892515355e38) r = copysign(3.3895313892515355e38, x);
  return (u16)(bits_f32((float)r) >> 16);
}
#define bits_f16(x) f16_from(x, 'n')
#define bits_bf16(x) bf16_from(x, 'n')

// tf32 keeps 10 bits of mantissa; ties away from zero.
INLINE u32 tf32_rna(float f) {
  u32 b = bits_f32(f);
  return (b & 0x7f800000) == 0x7f800000 ? b : (b + 0x1000) & ~0x1fffu;
}

// Runs an operation in another rounding mode: MXCSR's bits 13-14 (1 down, 2 up, 3 towards zero).
#define ROUNDED(type, mode, x, y, z, expression)                                        \
  ({                                                                                    \
    type a_ = (x), b_ = (y), c_ = (z), r_;                                              \
    u32 old_ = __builtin_ia32_stmxcsr(), new_ = (old_ & ~0x6000u) | (mode) << 13;       \
    __asm__ volatile("ldmxcsr %3" : "+x"(a_), "+x"(b_), "+x"(c_) : "m"(new_));          \
    r_ = (expression);                                                                  \
    __asm__ volatile("ldmxcsr %1" : "+x"(r_) : "m"(old_));                              \
    r_;                                                                                 \
  })

INLINE float saturate(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
INLINE double saturate_f64(double x) { return x > 0 ? (x < 1 ? x : 1.0) : 0.0; }

// The smaller and larger number; -0 is below +0; of a number and a NaN, the number.
#define DEFINE_MIN_MAX(T, s)                                                                  \
  INLINE T min_##s(T a, T b) { return a != a ? b : b != b ? a : a < b || (a == b && signbit(a)) ? a : b; }   \
  INLINE T max_##s(T a, T b) { return a != a ? b : b != b ? a : a > b || (a == b && !signbit(a)) ? a : b; }  \
  INLINE T min_nan_##s(T a, T b) { return a != a || b != b ? (T)NAN : min_##s(a, b); }        \
  INLINE T max_nan_##s(T a, T b) { return a != a || b != b ? (T)NAN : max_##s(a, b); }
DEFINE_MIN_MAX(float, f32)
DEFINE_MIN_MAX(double, f64)

// Conversion to an integer clamps; a NaN gives 0 (in 64 bits 2^63).
#define DEFINE_TO_INTEGER(T, low, high, nan)                                              \
  SHARED_FUNCTION T to_##T(double x) {                                                    \
    if (x != x) return (T)(nan);                                                          \
    if (x <= (double)(low)) return (low);                                                 \
    if (x >= (double)(high)) return (high);                                               \
    return (T)x;                                                                          \
  }
DEFINE_TO_INTEGER(s8, INT8_MIN, INT8_MAX, 0)
DEFINE_TO_INTEGER(u8, 0, UINT8_MAX, 0)
DEFINE_TO_INTEGER(s16, INT16_MIN, INT16_MAX, 0)
DEFINE_TO_INTEGER(u16, 0, UINT16_MAX, 0)
DEFINE_TO_INTEGER(s32, INT32_MIN, INT32_MAX, 0)
DEFINE_TO_INTEGER(u32, 0, UINT32_MAX, 0)
DEFINE_TO_INTEGER(s64, INT64_MIN, INT64_MAX, 1ull << 63)
DEFINE_TO_INTEGER(u64, 0, UINT64_MAX, 1ull << 63)

// ---- integers ----

// Division by zero gives all ones; the remainder is then the dividend.
#define DEFINE_DIVISION(T, low)                                                          \
  INLINE T div_##T(T a, T b) { return b == 0 ? (T)-1 : (low) != 0 && b == (T)-1 ? (T)(0 - a) : a / b; } \
  INLINE T rem_##T(T a, T b) { return b == 0 ? a : (low) != 0 && b == (T)-1 ? 0 : a % b; }
DEFINE_DIVISION(s16, 1)
DEFINE_DIVISION(u16, 0)
DEFINE_DIVISION(s32, 1)
DEFINE_DIVISION(u32, 0)
DEFINE_DIVISION(s64, 1)
DEFINE_DIVISION(u64, 0)

INLINE u32 brev32(u32 x) {
  u32 r = 0;
  for (int i = 0; i < 32; i++) r |= ((x >> i) & 1) << (31 - i);
  return r;
}
INLINE u64 brev64(u64 x) { return (u64)brev32((u32)x) << 32 | brev32((u32)(x >> 32)); }

#define DEFINE_BFE(T, U, bits, isSigned)                                                 \
  INLINE U bfe_##T(T a, u32 b, u32 c) {                                                  \
    u32 pos = b & 255, len = c & 255, i;                                                 \
    U r = 0;                                                                             \
    u32 top = pos + len - 1 < bits - 1 ? pos + len - 1 : bits - 1;                       \
    int sign = isSigned && len ? (int)((U)a >> top & 1) : 0;                             \
    for (i = 0; i < bits; i++) r |= (U)(i < len && pos + i < bits ? (U)a >> (pos + i) & 1 : (U)sign) << i; \
    return r;                                                                            \
  }
DEFINE_BFE(u32, u32, 32, 0)
DEFINE_BFE(s32, u32, 32, 1)
DEFINE_BFE(u64, u64, 64, 0)
DEFINE_BFE(s64, u64, 64, 1)

#define DEFINE_BFI(U, bits)                                                              \
  INLINE U bfi_##U(U a, U b, u32 c, u32 d) {                                             \
    u32 pos = c & 255, len = d & 255;                                                    \
    for (u32 i = 0; i < len && pos + i < bits; i++)                                      \
      b = (b & ~((U)1 << (pos + i))) | (a >> i & 1) << (pos + i);                        \
    return b;                                                                            \
  }
DEFINE_BFI(u32, 32)
DEFINE_BFI(u64, 64)

// The position of the highest bit that differs from the sign; all ones where there is none.
INLINE u32 bfind(u64 x, int bits, int isSigned, int shift) {
  if (isSigned && (x >> (bits - 1) & 1)) x = ~x;
  if (bits == 32) x = (u32)x;
  if (!x) return ~0u;
  u32 position = 63 - __builtin_clzll(x);
  return shift ? bits - 1 - position : position;
}

INLINE u32 lop3(u32 a, u32 b, u32 c, u32 table) {
  u32 r = 0;
  if (table & 1) r |= ~a & ~b & ~c;
  if (table & 2) r |= ~a & ~b & c;
  if (table & 4) r |= ~a & b & ~c;
  if (table & 8) r |= ~a & b & c;
  if (table & 16) r |= a & ~b & ~c;
  if (table & 32) r |= a & ~b & c;
  if (table & 64) r |= a & b & ~c;
  if (table & 128) r |= a & b & c;
  return r;
}

INLINE u32 prmt(u32 a, u32 b, u32 selector) {
  u64 bytes = (u64)b << 32 | a;
  u32 r = 0;
  for (int i = 0; i < 4; i++) {
    u32 s = selector >> (4 * i) & 15;
    u32 byte = (u32)(bytes >> (8 * (s & 7))) & 255;
    if (s & 8) byte = byte & 128 ? 255 : 0;
    r |= byte << (8 * i);
  }
  return r;
}

INLINE u32 shf_left(u32 a, u32 b, u32 n) { return n ? n == 32 ? a : b << n | a >> (32 - n) : b; }
INLINE u32 shf_right(u32 a, u32 b, u32 n) { return n ? n == 32 ? b : b << (32 - n) | a >> n : a; }
INLINE u32 at_most(u32 n, u32 most) { return n < most ? n : most; }

// Shifts clamp their amount.
#define SHL(T, a, n) ((n) >= sizeof(T) * 8 ? 0 : (T)((T)(a) << (n)))
#define SHR_U(T, a, n) ((n) >= sizeof(T) * 8 ? 0 : (T)((T)(a) >> (n)))
#define SHR_S(T, a, n) ((T)((T)(a) >> ((n) >= sizeof(T) * 8 ? sizeof(T) * 8 - 1 : (n))))

#define MULHI_u16(a, b) ((u16)((u32)(a) * (u32)(b) >> 16))
#define MULHI_s16(a, b) ((s16)((s32)(a) * (s32)(b) >> 16))
#define MULHI_u32(a, b) ((u32)((u64)(a) * (u64)(b) >> 32))
#define MULHI_s32(a, b) ((s32)((s64)(a) * (s64)(b) >> 32))
#define MULHI_u64(a, b) ((u64)((unsigned __int128)(a) * (b) >> 64))
#define MULHI_s64(a, b) ((s64)((__int128)(a) * (b) >> 64))

INLINE s32 dot4(u32 a, u32 b, s32 c, int signedA, int signedB) {
  for (int i = 0; i < 4; i++) {
    s32 x = signedA ? (s8)(a >> 8 * i) : (s32)(u8)(a >> 8 * i);
    s32 y = signedB ? (s8)(b >> 8 * i) : (s32)(u8)(b >> 8 * i);
    c += x * y;
  }
  return c;
}

// Add and subtract with the condition code.
#define DEFINE_CARRY(U, W)                                                               \
  INLINE U add_carry_##U(Thread *t, U a, U b, int use, int set) {                        \
    W sum = (W)a + b + (use ? t->carry : 0);                                             \
    if (set) t->carry = (u32)(sum >> (sizeof(U) * 8)) & 1;                               \
    return (U)sum;                                                                       \
  }                                                                                      \
  INLINE U sub_borrow_##U(Thread *t, U a, U b, int use, int set) {                       \
    W difference = (W)a - b - (use ? t->carry : 0);                                      \
    if (set) t->carry = (u32)(difference >> (sizeof(U) * 8)) & 1;                        \
    return (U)difference;                                                                \
  }
DEFINE_CARRY(u32, u64)
DEFINE_CARRY(u64, unsigned __int128)

// ---- special registers ----

#define LANE_MASK_LT(lane) ((1u << (lane)) - 1)

INLINE u64 clock_now(void) {
  u32 lo, hi;
  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
  return (u64)hi << 32 | lo;
}

#endif
