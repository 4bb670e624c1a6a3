// Loops over several operands of one shape with any strides. The host drops axes of size 1, joins
// neighbours where every operand allows and folds offsets into the pointers.
#pragma once

#define MAX_DIMS 8

template <int N>
struct Strided {
  u32 rank;
  u32 dims[MAX_DIMS];  // dims[0] is the innermost axis
  i64 strides[N][MAX_DIMS];
};

// Where the element with the row-major number `i` lies in each operand.
template <int N>
__device__ __forceinline__ void place(const Strided<N>& loop, u32 i, i64 (&at)[N]) {
#pragma unroll
  for (int k = 0; k < N; k++) {
    at[k] = 0;
  }
#pragma unroll
  for (int d = 0; d < MAX_DIMS; d++) {
    if (d >= loop.rank) {
      break;
    }
    bool outermost = d + 1 == loop.rank;
    u32 rest = outermost ? 0 : i / loop.dims[d];
    u32 index = outermost ? i : i - rest * loop.dims[d];
#pragma unroll
    for (int k = 0; k < N; k++) {
      at[k] += index * loop.strides[k][d];
    }
    i = rest;
  }
}
