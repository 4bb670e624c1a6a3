// Every element of y becomes one value, given by its bits; and y[i] = start + i·step.
#include "fornax.cuh"
#include "strided.cuh"

template <typename V>
__device__ __forceinline__ void fill(V* y, u32 bits, const Strided<1>& loop, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    i64 at[1];
    place(loop, i, at);
    y[at[0]] = (V)bits;
  }
}

#define FILL(V, bytes)                                             \
  extern "C" __global__ void __launch_bounds__(256)                \
      fill_strided_##bytes(V* y, u32 bits, Strided<1> loop, u32 n) { \
    fill(y, bits, loop, n);                                        \
  }

FILL(u8, 1)
FILL(u16, 2)
FILL(u32, 4)

// In double precision, rounded once; a consumer card does few of these, but a range is short.
extern "C" __global__ void __launch_bounds__(256)
    fill_range(void* y, int type, double start, double step, i64 n) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    double value = __dadd_rn(start, __dmul_rn((double)i, step));
    if (type == I32) {
      static_cast<int*>(y)[i] = __double2int_rz(value);
    } else {
      storeFloat(y, type, i, __double2float_rn(value));
    }
  }
}
