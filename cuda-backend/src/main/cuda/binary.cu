// y = op(a, b) and y = op(a, number).
#include "fornax.cuh"
#include "strided.cuh"
#include "functions.cuh"

// ---- contiguous operands, aligned to four elements: four to a thread, then a scalar tail

template <int OP, typename T>
__device__ __forceinline__ void contiguous(const T* a, const T* b, T* y, i64 n) {
  i64 i = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 4 <= n) {
    float v[4], w[4];
    load4(a + i, v);
    load4(b + i, w);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      v[k] = binary(OP, v[k], w[k]);
    }
    store4(y + i, v);
  } else {
    for (; i < n; i++) {
      y[i] = fromFloat<T>(binary(OP, toFloat(a[i]), toFloat(b[i])));
    }
  }
}

template <int OP, typename T>
__device__ __forceinline__ void contiguousNumber(const T* a, float b, T* y, i64 n) {
  i64 i = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 4 <= n) {
    float v[4];
    load4(a + i, v);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      v[k] = binary(OP, v[k], b);
    }
    store4(y + i, v);
  } else {
    for (; i < n; i++) {
      y[i] = fromFloat<T>(binary(OP, toFloat(a[i]), b));
    }
  }
}

#define BINARY_OF(OP, name, T, type)                                       \
  extern "C" __global__ void __launch_bounds__(256)                        \
      binary_##name##_##type(const T* a, const T* b, T* y, i64 n) {        \
    contiguous<OP, T>(a, b, y, n);                                         \
  }                                                                        \
  extern "C" __global__ void __launch_bounds__(256)                        \
      binary_number_##name##_##type(const T* a, float b, T* y, i64 n) {    \
    contiguousNumber<OP, T>(a, b, y, n);                                   \
  }
#define BINARY(OP, name)            \
  BINARY_OF(OP, name, float, f32)   \
  BINARY_OF(OP, name, bf16, bf16)   \
  BINARY_OF(OP, name, f16, f16)

BINARY(ADD, add)
BINARY(SUBTRACT, subtract)
BINARY(MULTIPLY, multiply)
BINARY(DIVIDE, divide)
BINARY(POWER, power)
BINARY(MAXIMUM, maximum)
BINARY(MINIMUM, minimum)

// ---- any strides and types

// I32 wraps round; of BOOL, MAXIMUM is or and MINIMUM is and.
__device__ __forceinline__ int binaryInt(int op, int a, int b) {
  switch (op) {
    case ADD:
      return (int)((u32)a + (u32)b);
    case SUBTRACT:
      return (int)((u32)a - (u32)b);
    case MULTIPLY:
      return (int)((u32)a * (u32)b);
    case MAXIMUM:
      return max(a, b);
    default:
      return min(a, b);
  }
}

extern "C" __global__ void __launch_bounds__(256) binary_strided(
    int op, const void* a, int aType, const void* b, int bType, void* y, int yType,
    Strided<3> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[3];
    place(loop, i, at);
    float value = binary(op, loadFloat(a, aType, at[0]), loadFloat(b, bType, at[1]));
    storeFloat(y, yType, at[2], value);
  }
}

extern "C" __global__ void __launch_bounds__(256) binary_number_strided(
    int op, const void* a, int aType, float b, void* y, int yType, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    storeFloat(y, yType, at[1], binary(op, loadFloat(a, aType, at[0]), b));
  }
}

extern "C" __global__ void __launch_bounds__(256) binary_strided_int(
    int op, const void* a, const void* b, void* y, int type, Strided<3> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[3];
    place(loop, i, at);
    storeInt(y, type, at[2], binaryInt(op, loadInt(a, type, at[0]), loadInt(b, type, at[1])));
  }
}

extern "C" __global__ void __launch_bounds__(256) binary_number_strided_int(
    int op, const void* a, int b, void* y, int type, Strided<2> loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[2];
    place(loop, i, at);
    storeInt(y, type, at[1], binaryInt(op, loadInt(a, type, at[0]), b));
  }
}
