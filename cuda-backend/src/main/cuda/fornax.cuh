// What every kernel file shares: types, conversions, reductions in a fixed order, index errors.
// NVRTC has no standard headers and no INFINITY.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// The ordinals of fornax.array.DType.
enum Type { F32 = 0, F64 = 1, BF16 = 2, F16 = 3, I32 = 4, BOOL = 5 };

struct bf16 {
  u16 bits;
};

struct f16 {
  u16 bits;
};

#define ALL_LANES 0xffffffffu

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

__device__ __forceinline__ float toFloat(float x) { return x; }

__device__ __forceinline__ float toFloat(bf16 x) { return __uint_as_float((u32)x.bits << 16); }

__device__ __forceinline__ float toFloat(f16 x) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}

__device__ __forceinline__ bool isNan(float x) { return x != x; }

template <typename T>
__device__ __forceinline__ T fromFloat(float x);

template <>
__device__ __forceinline__ float fromFloat<float>(float x) {
  return x;
}

// To nearest even; NaN stays a quiet NaN with its upper bits, as DType.toBFloat16.
template <>
__device__ __forceinline__ bf16 fromFloat<bf16>(float x) {
  u32 bits = __float_as_uint(x);
  bf16 y;
  y.bits = isNan(x) ? (u16)(bits >> 16 | 0x40) : (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  return y;
}

// To nearest even; beyond 65504 infinity; NaN stays NaN.
template <>
__device__ __forceinline__ f16 fromFloat<f16>(float x) {
  f16 y;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

// Whether `type` has 16 bits.
__device__ __forceinline__ bool isHalf(int type) { return type == BF16 || type == F16; }

// Four neighbours at once; `x` is aligned to four elements.
__device__ __forceinline__ void load4(const float* x, float (&v)[4]) {
  float4 w = *reinterpret_cast<const float4*>(x);
  v[0] = w.x;
  v[1] = w.y;
  v[2] = w.z;
  v[3] = w.w;
}

__device__ __forceinline__ void load4(const bf16* x, float (&v)[4]) {
  uint2 w = *reinterpret_cast<const uint2*>(x);
  v[0] = __uint_as_float(w.x << 16);
  v[1] = __uint_as_float(w.x & 0xffff0000u);
  v[2] = __uint_as_float(w.y << 16);
  v[3] = __uint_as_float(w.y & 0xffff0000u);
}

__device__ __forceinline__ void load4(const f16* x, float (&v)[4]) {
  uint2 w = *reinterpret_cast<const uint2*>(x);
  v[0] = toFloat(f16{(u16)w.x});
  v[1] = toFloat(f16{(u16)(w.x >> 16)});
  v[2] = toFloat(f16{(u16)w.y});
  v[3] = toFloat(f16{(u16)(w.y >> 16)});
}

__device__ __forceinline__ void store4(float* y, const float (&v)[4]) {
  *reinterpret_cast<float4*>(y) = make_float4(v[0], v[1], v[2], v[3]);
}

// bf16 or f16.
template <typename T>
__device__ __forceinline__ void store4(T* y, const float (&v)[4]) {
  uint2 w;
  w.x = fromFloat<T>(v[0]).bits | (u32)fromFloat<T>(v[1]).bits << 16;
  w.y = fromFloat<T>(v[2]).bits | (u32)fromFloat<T>(v[3]).bits << 16;
  *reinterpret_cast<uint2*>(y) = w;
}

// An element of a floating array whose type is known only at run time.
__device__ __forceinline__ float loadFloat(const void* x, int type, i64 at) {
  if (type == F32) {
    return static_cast<const float*>(x)[at];
  }
  u16 bits = static_cast<const u16*>(x)[at];
  return type == BF16 ? toFloat(bf16{bits}) : toFloat(f16{bits});
}

__device__ __forceinline__ void storeFloat(void* y, int type, i64 at, float value) {
  if (type == F32) {
    static_cast<float*>(y)[at] = value;
  } else {
    static_cast<u16*>(y)[at] =
        type == BF16 ? fromFloat<bf16>(value).bits : fromFloat<f16>(value).bits;
  }
}

// Likewise of an I32 or BOOL array.
__device__ __forceinline__ int loadInt(const void* x, int type, i64 at) {
  return type == I32 ? static_cast<const int*>(x)[at] : static_cast<const u8*>(x)[at];
}

__device__ __forceinline__ void storeInt(void* y, int type, i64 at, int value) {
  if (type == I32) {
    static_cast<int*>(y)[at] = value;
  } else {
    static_cast<u8*>(y)[at] = value != 0;
  }
}

// ---- reductions over a warp or a block of THREADS threads; every thread gets the result. Partial
// results are combined in an order that depends on nothing but THREADS.

struct Sum {
  static __device__ __forceinline__ float identity() { return 0; }
  static __device__ __forceinline__ float apply(float a, float b) { return a + b; }
};

// NaN if either is.
struct Max {
  static __device__ __forceinline__ float identity() { return -infinity(); }
  static __device__ __forceinline__ float apply(float a, float b) {
    return a > b || isNan(a) ? a : b;
  }
};

struct Min {
  static __device__ __forceinline__ float identity() { return infinity(); }
  static __device__ __forceinline__ float apply(float a, float b) {
    return a < b || isNan(a) ? a : b;
  }
};

template <typename Op, typename V>
__device__ __forceinline__ V warpReduce(V value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    value = Op::apply(value, __shfl_xor_sync(ALL_LANES, value, lanes));
  }
  return value;
}

template <int THREADS, typename Op, typename V>
__device__ __forceinline__ V reduce(V value) {
  value = warpReduce<Op>(value);
  if (THREADS > 32) {
    __shared__ V warps[THREADS / 32];
    if (threadIdx.x % 32 == 0) {
      warps[threadIdx.x / 32] = value;
    }
    __syncthreads();
    value = warps[0];
#pragma unroll
    for (int i = 1; i < THREADS / 32; i++) {
      value = Op::apply(value, warps[i]);
    }
    __syncthreads();
  }
  return value;
}

// A thread's own sum in two levels: the rounding error grows with the square root of the count.
struct TwoLevelSum {
  float total = 0;
  float block = 0;
  int count = 0;

  __device__ __forceinline__ void add(float x) {
    block += x;
    if (++count == 16) {
      total += block;
      block = 0;
      count = 0;
    }
  }

  __device__ __forceinline__ float value() const { return total + block; }
};

// ---- errors of index values, read by the host at its next wait

struct IndexError {
  u32 taken;   // the first error wins
  u32 ticket;  // which call
  i64 position;
  i64 value;
};

__device__ __forceinline__ void reportIndex(IndexError* error, u32 ticket, i64 position, i64 value) {
  if (atomicCAS(&error->taken, 0u, 1u) == 0) {
    error->ticket = ticket;
    error->position = position;
    error->value = value;
  }
}
