// Sorts rows of keys: tiles by a bitonic network in shared memory, then runs of doubling width, where
// each element finds its place in the merged run by a binary search in the other half.
// Shapes: x, values, indices [rows, n], contiguous; keys [rows, n].
#include "fornax.cuh"
#include "order.cuh"

#define TILE 1024
#define THREADS 256

// Grid: (tiles of a row, rows). What lies behind the row's end is filled with the greatest key.
extern "C" __global__ void __launch_bounds__(256)
    sort_tiles(const void* x, int type, int descending, u64* keys, u32 n) {
  __shared__ u64 tile[TILE];
  i64 start = (i64)blockIdx.y * n;
  u32 first = blockIdx.x * TILE;
  for (u32 i = threadIdx.x; i < TILE; i += THREADS) {
    u32 index = first + i;
    tile[i] = index < n ? keyOf(orderOf(x, type, start + index), descending, index) : ~0ull;
  }
  __syncthreads();
  for (u32 width = 2; width <= TILE; width <<= 1) {
    for (u32 step = width >> 1; step > 0; step >>= 1) {
      for (u32 i = threadIdx.x; i < TILE / 2; i += THREADS) {
        u32 low = i / step * step * 2 + i % step;
        u32 high = low + step;
        bool rising = (low & width) == 0;
        u64 a = tile[low];
        u64 b = tile[high];
        if (rising == (a > b)) {
          tile[low] = b;
          tile[high] = a;
        }
      }
      __syncthreads();
    }
  }
  for (u32 i = threadIdx.x; i < TILE; i += THREADS) {
    if (first + i < n) {
      keys[start + first + i] = tile[i];
    }
  }
}

// Merges neighbouring sorted runs of `width` keys. Grid: (n / 256, rows).
extern "C" __global__ void __launch_bounds__(256)
    sort_merge(const u64* from, u64* to, u32 width, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) {
    return;
  }
  i64 start = (i64)blockIdx.y * n;
  u64 key = from[start + i];
  u32 run = i / width;
  u32 pair = run / 2 * 2 * width;
  u32 otherStart = min(run % 2 == 0 ? pair + width : pair, n);
  u32 otherEnd = min(otherStart + width, n);
  u32 low = otherStart;
  u32 high = otherEnd;
  while (low < high) {
    u32 middle = (low + high) / 2;
    if (from[start + middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  to[start + pair + (i - run * width) + (low - otherStart)] = key;
}

// Grid: (n / 256, rows).
extern "C" __global__ void __launch_bounds__(256)
    sort_finish(const void* x, int type, const u64* keys, void* values, int* indices, u32 n) {
  u32 i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) {
    return;
  }
  i64 start = (i64)blockIdx.y * n;
  u32 index = (u32)keys[start + i];
  indices[start + i] = (int)index;
  if (isHalf(type)) {
    static_cast<u16*>(values)[start + i] = static_cast<const u16*>(x)[start + index];
  } else if (type == BOOL) {
    static_cast<u8*>(values)[start + i] = static_cast<const u8*>(x)[start + index];
  } else {
    static_cast<u32*>(values)[start + i] = static_cast<const u32*>(x)[start + index];
  }
}
