// Tensor cores, as warps use them: fragments, loads of fragments from shared memory, products, and
// copies to shared memory that do not go through registers. For sm_80 and later; in f16 for sm_75
// too, which has products of half the depth and no such copies.
//
// Fragments as in the PTX manual, "Matrix Fragments for mma.m16n8k16": with group = lane / 4 and
// member = lane % 4, a thread holds of a result [16, 8] rows group and group + 8, columns 2·member
// and 2·member + 1.
#pragma once

__device__ __forceinline__ u32 sharedAddress(const void* x) {
  return (u32)__cvta_generic_to_shared(x);
}

// ---- cp.async

// The first `count` of 16 bytes, then zeros; both addresses are multiples of 16, count is of 2.
__device__ __forceinline__ void copyAsync16(void* to, const void* from, u32 count) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(to)), "l"(from),
               "r"(count)
               : "memory");
#else  // at once
  uint4 value = make_uint4(0, 0, 0, 0);
  if (count == 16) {
    value = *static_cast<const uint4*>(from);
  } else {
    u16 parts[8];
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
      parts[i] = 2 * i < count ? static_cast<const u16*>(from)[i] : 0;
    }
    value = make_uint4(
        parts[0] | (u32)parts[1] << 16, parts[2] | (u32)parts[3] << 16,
        parts[4] | (u32)parts[5] << 16, parts[6] | (u32)parts[7] << 16);
  }
  *static_cast<uint4*>(to) = value;
#endif
}

__device__ __forceinline__ void copyAsync4(void* to, const void* from, bool inside) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(sharedAddress(to)), "l"(from),
               "r"(inside ? 4 : 0)
               : "memory");
#else
  *static_cast<u32*>(to) = inside ? *static_cast<const u32*>(from) : 0;
#endif
}

// Ends a group of copies.
__device__ __forceinline__ void commitCopies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits for this thread's groups but the newest `GROUPS`; other threads' need a barrier.
template <int GROUPS>
__device__ __forceinline__ void waitForCopies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

// R rows of C columns from (row0, column0) on, on their way; zeros outside. Where rows cannot be
// moved 16 bytes at a time they are there when this returns.
template <int THREADS, int R, int C, int PITCH, typename T>
__device__ __forceinline__ void loadTile(
    const T* x, i64 leading, u32 row0, u32 rows, u32 column0, u32 columns, bool aligned, T* tile) {
  constexpr u32 EACH = 16 / sizeof(T);
  if (aligned) {
#pragma unroll
    for (u32 i = threadIdx.x; i < R * C / EACH; i += THREADS) {
      u32 row = i / (C / EACH);
      u32 column = i % (C / EACH) * EACH;
      u32 left = row0 + row < rows && column0 + column < columns ? columns - column0 - column : 0;
      const T* from = left ? x + (row0 + row) * leading + column0 + column : x;
      copyAsync16(tile + row * PITCH + column, from, min(left, EACH) * (u32)sizeof(T));
    }
  } else {
    for (u32 i = threadIdx.x; i < R * C; i += THREADS) {
      u32 row = i / C;
      u32 column = i % C;
      T value = {0};
      if (row0 + row < rows && column0 + column < columns) {
        value = x[(row0 + row) * leading + column0 + column];
      }
      tile[row * PITCH + column] = value;
    }
  }
}

// ---- fragments of bf16 and f16

// Four matrices of 8 × 8, each row's address given by one lane.
template <typename T>
__device__ __forceinline__ void loadMatrices(u32 (&to)[4], const T* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(sharedAddress(row))
               : "memory");
}

template <typename T>
__device__ __forceinline__ void loadTransposed(u32 (&to)[4], const T* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(sharedAddress(row))
               : "memory");
}

// The left operand [16, 16] at `tile`, by rows of `pitch` elements.
template <typename T>
__device__ __forceinline__ void loadLeft(u32 (&to)[4], const T* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  loadMatrices(to, tile + lane % 16 * pitch + lane / 16 * 8);
}

// Two right operands [16, 8], side by side, of which `tile` holds the transposed: element (k, n) at
// tile[n·pitch + k]. The first is to[0] and to[1].
template <typename T>
__device__ __forceinline__ void loadRightByColumns(u32 (&to)[4], const T* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  loadMatrices(to, tile + (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 8);
}

// Likewise where element (k, n) is at tile[k·pitch + n].
template <typename T>
__device__ __forceinline__ void loadRightByRows(u32 (&to)[4], const T* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  loadTransposed(to, tile + lane % 16 * pitch + lane / 16 * 8);
}

// The left operand [16, 16] where element (m, k) is at tile[k·pitch + m].
template <typename T>
__device__ __forceinline__ void loadLeftByColumns(u32 (&to)[4], const T* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  loadTransposed(to, tile + (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 8);
}

// c += a·b with a [16, 16], b [16, 8] of type T and sums in F32.
template <typename T>
__device__ __forceinline__ void multiplyAdd(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1);

template <>
__device__ __forceinline__ void multiplyAdd<bf16>(
    float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#if __CUDA_ARCH__ >= 800
template <>
__device__ __forceinline__ void multiplyAdd<f16>(
    float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#else
// With a [16, 8], b [8, 8]: of the fragments above the half that a register pair holds.
__device__ __forceinline__ void multiplyAddHalf(float (&c)[4], u32 a0, u32 a1, u32 b) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(b));
}

template <>
__device__ __forceinline__ void multiplyAdd<f16>(
    float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  multiplyAddHalf(c, a[0], a[1], b0);
  multiplyAddHalf(c, a[2], a[3], b1);
}
#endif

// ---- tf32 fragments: group and member as above

// To nearest, 10 bits of mantissa.
__device__ __forceinline__ u32 toTf32(float x) {
  u32 y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ void roundToTf32(u32 (&x)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++) {
    x[i] = toTf32(__uint_as_float(x[i]));
  }
}

// c += a·b with a [16, 8], b [8, 8] in tf32 and sums in F32.
__device__ __forceinline__ void multiplyAddTf32(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The left operand [16, 8] at `tile`, by rows of `pitch` floats: ldmatrix moves a float as two
// halves.
__device__ __forceinline__ void loadLeftTf32(u32 (&to)[4], const float* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  loadMatrices(to, reinterpret_cast<const u16*>(tile + lane % 16 * pitch + lane / 16 * 4));
  roundToTf32(to);
}

// Likewise where element (m, k) is at tile[k·pitch + m].
__device__ __forceinline__ void loadLeftTf32ByColumns(u32 (&to)[4], const float* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  const float* from = tile + lane % 4 * pitch + lane / 4;
  to[0] = toTf32(from[0]);
  to[1] = toTf32(from[8]);
  to[2] = toTf32(from[4 * pitch]);
  to[3] = toTf32(from[4 * pitch + 8]);
}

// Two right operands [8, 8], side by side, where element (k, n) is at tile[n·pitch + k].
__device__ __forceinline__ void loadRightTf32ByColumns(u32 (&to)[4], const float* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  const float* row = tile + (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 4;
  loadMatrices(to, reinterpret_cast<const u16*>(row));
  roundToTf32(to);
}

// Likewise where element (k, n) is at tile[k·pitch + n].
__device__ __forceinline__ void loadRightTf32ByRows(u32 (&to)[4], const float* tile, int pitch) {
  u32 lane = threadIdx.x % 32;
  const float* from = tile + lane % 4 * pitch + lane / 4;
  to[0] = toTf32(from[0]);
  to[1] = toTf32(from[4 * pitch]);
  to[2] = toTf32(from[8]);
  to[3] = toTf32(from[4 * pitch + 8]);
}

// Two numbers in one register, to nearest even; `low` has the lower address.
template <typename T>
__device__ __forceinline__ u32 pack(float low, float high) {
  return fromFloat<T>(low).bits | (u32)fromFloat<T>(high).bits << 16;
}

#if __CUDA_ARCH__ >= 800  // in one instruction
template <>
__device__ __forceinline__ u32 pack<bf16>(float low, float high) {
  u32 y;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}

template <>
__device__ __forceinline__ u32 pack<f16>(float low, float high) {
  u32 y;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}
#endif

// 2^x; subnormal results are 0.
__device__ __forceinline__ float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
