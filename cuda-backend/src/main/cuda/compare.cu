// y = op(a, b) and y = op(a, number), BOOL.
#include "fornax.cuh"
#include "strided.cuh"

// The ordinals of fornax.backend.Compare.
enum CompareOp { EQUAL = 0, NOT_EQUAL = 1, LESS = 2, LESS_EQUAL = 3, GREATER = 4, GREATER_EQUAL = 5 };

template <typename V>
__device__ __forceinline__ bool compare(int op, V a, V b) {
  switch (op) {
    case EQUAL:
      return a == b;
    case NOT_EQUAL:
      return a != b;
    case LESS:
      return a < b;
    case LESS_EQUAL:
      return a <= b;
    case GREATER:
      return a > b;
    default:
      return a >= b;
  }
}

extern "C" __global__ void __launch_bounds__(256) compare_strided(
    int op, const void* a, int aType, const void* b, int bType, u8* y, Strided<3> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[3];
    place(loop, i, at);
    y[at[2]] = compare(op, loadFloat(a, aType, at[0]), loadFloat(b, bType, at[1]));
  }
}

extern "C" __global__ void __launch_bounds__(256) compare_strided_int(
    int op, const void* a, int aType, const void* b, int bType, u8* y, Strided<3> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[3];
    place(loop, i, at);
    y[at[2]] = compare(op, loadInt(a, aType, at[0]), loadInt(b, bType, at[1]));
  }
}

extern "C" __global__ void __launch_bounds__(256) compare_number_strided(
    int op, const void* a, int aType, float b, u8* y, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    y[at[1]] = compare(op, loadFloat(a, aType, at[0]), b);
  }
}

extern "C" __global__ void __launch_bounds__(256) compare_number_strided_int(
    int op, const void* a, int aType, int b, u8* y, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    y[at[1]] = compare(op, loadInt(a, aType, at[0]), b);
  }
}
