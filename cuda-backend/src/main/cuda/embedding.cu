// Rows of a table by index. Shapes: table [V, C], indices (I32) [N], y [N, C]. The gradient of the
// table is a scatterAdd.
#include "fornax.cuh"

// A block to a row of y.
template <typename T>
__device__ __forceinline__ void forward(
    const T* table, const int* indices, T* y, int V, u32 C, IndexError* error, u32 ticket) {
  u32 row = blockIdx.x;
  int index = indices[row];
  if (index < 0 || index >= V) {
    if (threadIdx.x == 0) {
      reportIndex(error, ticket, row, index);
    }
    return;
  }
  for (u32 c = threadIdx.x; c < C; c += blockDim.x) {
    y[(i64)row * C + c] = table[(i64)index * C + c];
  }
}

#define EMBEDDING(T, type)                                                                      \
  extern "C" __global__ void __launch_bounds__(256) embedding_##type(                           \
      const T* table, const int* indices, T* y, int V, u32 C, IndexError* error, u32 ticket) {  \
    forward(table, indices, y, V, C, error, ticket);                                            \
  }

EMBEDDING(float, f32)
EMBEDDING(bf16, bf16)
EMBEDDING(f16, f16)
