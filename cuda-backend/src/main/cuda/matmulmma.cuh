// y = activation(a·b + bias), or y += a·b, on tensor cores with sums in F32: what the kernels of all
// types of factors share. Shapes: a [batch, M, K], b [batch, K, N], each by rows or by columns; y
// [batch, M, N] in F32, bf16 or f16 with any strides; bias [N].
//
// A block makes a tile of BM × BN, a warp one of WM × WN of it. Tiles of a and b come by cp.async
// into shared memory as they lie, 64 bytes of k at a time, STAGES of them in turn: two are under
// way while one is used. Results are accumulated along k in order, whatever the tile: all tiles
// give the same bits.
#pragma once

#include "fornax.cuh"
#include "strided.cuh"
#include "functions.cuh"
#include "tensorcore.cuh"

#define STAGES 3

struct MatmulArguments {
  const void* a;
  const void* b;
  const float* bias;  // null: none
  void* before;       // gets a·b + bias; null: not wanted. Laid out and of the type of y
  void* y;
  i64 aLeading, bLeading, yRow, yColumn;
  u32 M, N, K;
  int accumulate;
  u32 firstBatch;
  int activation;  // or −1
  int yType;
  int aAligned, bAligned;  // whether rows can be moved 16 bytes at a time
  int yPairs;              // whether results can be stored two at a time
};

// The activations of the models here; others follow in a pass of their own (linear.cu). GELU's tanh
// form is x·sigmoid(2·√(2/π)·(x + 0.044715·x³)).
__device__ __forceinline__ float activate(int op, float x) {
  if (op == RELU) {
    return x < 0 ? 0 : x;
  }
  if (op == GELU_TANH) {
    float u = 2 * 0.7978845608028654f * (x + 0.044715f * x * x * x);
    return x / (1 + exp2Fast(-1.4426950408889634f * u));
  }
  return x;
}

// What stands round a product, of two neighbours: `pair` at the element `to` of y, in `column`.
__device__ __forceinline__ void store(
    const MatmulArguments& p, float2 pair, i64 to, u32 column) {
  bool both = column + 1 < p.N;
  i64 next = to + p.yColumn;
  if (p.accumulate) {
    pair.x += loadFloat(p.y, p.yType, to);
    pair.y += both ? loadFloat(p.y, p.yType, next) : 0;
  }
  if (p.bias) {
    pair.x += p.bias[column];
    pair.y += both ? p.bias[column + 1] : 0;
  }
  for (int pass = p.before ? 0 : 1; pass < 2; pass++) {
    void* y = pass == 0 ? p.before : p.y;
    if (pass == 1) {
      pair.x = activate(p.activation, pair.x);
      pair.y = activate(p.activation, pair.y);
    }
    if (both && p.yPairs && p.yType == F32) {
      *reinterpret_cast<float2*>(static_cast<float*>(y) + to) = pair;
    } else if (both && p.yPairs) {
      *reinterpret_cast<u32*>(static_cast<u16*>(y) + to) =
          p.yType == BF16 ? pack<bf16>(pair.x, pair.y) : pack<f16>(pair.x, pair.y);
    } else {
      storeFloat(y, p.yType, to, pair.x);
      if (both) {
        storeFloat(y, p.yType, next, pair.y);
      }
    }
  }
}

// What depends on the type of the factors: how many steps of k a tile has (BK) and one mma takes
// (STEP), how rows are padded so that those of one fragment lie on different banks, and how
// fragments are loaded. A tile lies along k (element (m, k) at tile[m·pitch + k]) or across.
template <typename T>
struct Factors {
  static constexpr int BK = 32;
  static constexpr int STEP = 16;

  static constexpr int ALONG = BK + 8;  // distance of rows that lie along k
  static constexpr int PADDING = 8;     // of rows across k

  // [16, 16] from row `row` and step `k` on.
  template <bool IS_ALONG, int WIDTH>
  static __device__ __forceinline__ void loadLeft(u32 (&to)[4], const T* tile, u32 row, int k) {
    if (IS_ALONG) {
      ::loadLeft(to, tile + row * ALONG + k, ALONG);
    } else {
      loadLeftByColumns(to, tile + k * (WIDTH + PADDING) + row, WIDTH + PADDING);
    }
  }

  // Two of [16, 8] side by side.
  template <bool IS_ALONG, int WIDTH>
  static __device__ __forceinline__ void loadRight(u32 (&to)[4], const T* tile, u32 column, int k) {
    if (IS_ALONG) {
      loadRightByColumns(to, tile + column * ALONG + k, ALONG);
    } else {
      loadRightByRows(to, tile + k * (WIDTH + PADDING) + column, WIDTH + PADDING);
    }
  }

  static __device__ __forceinline__ void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    multiplyAdd<T>(c, a, b0, b1);
  }
};

// TF32: F32 factors, of which 10 bits of mantissa are taken, to nearest.
template <>
struct Factors<float> {
  static constexpr int BK = 16;
  static constexpr int STEP = 8;

  static constexpr int ALONG = BK + 4;
  static constexpr int PADDING = 8;

  // [16, 8].
  template <bool IS_ALONG, int WIDTH>
  static __device__ __forceinline__ void loadLeft(u32 (&to)[4], const float* tile, u32 row, int k) {
    if (IS_ALONG) {
      loadLeftTf32(to, tile + row * ALONG + k, ALONG);
    } else {
      loadLeftTf32ByColumns(to, tile + k * (WIDTH + PADDING) + row, WIDTH + PADDING);
    }
  }

  // Two of [8, 8] side by side.
  template <bool IS_ALONG, int WIDTH>
  static __device__ __forceinline__ void loadRight(
      u32 (&to)[4], const float* tile, u32 column, int k) {
    if (IS_ALONG) {
      loadRightTf32ByColumns(to, tile + column * ALONG + k, ALONG);
    } else {
      loadRightTf32ByRows(to, tile + k * (WIDTH + PADDING) + column, WIDTH + PADDING);
    }
  }

  static __device__ __forceinline__ void multiply(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    multiplyAddTf32(c, a, b0, b1);
  }
};

// Grid: (N / BN, M / BM, batch).
template <typename T, int BM, int BN, int WM, int WN, bool A_BY_ROWS, bool B_BY_ROWS>
__device__ __forceinline__ void matmul(const MatmulArguments& p, const Strided<3>& batches) {
  constexpr int THREADS = BM / WM * (BN / WN) * 32;
  constexpr int BK = Factors<T>::BK;
  constexpr int ALONG = Factors<T>::ALONG;
  constexpr int A_ACROSS = BM + Factors<T>::PADDING;
  constexpr int B_ACROSS = BN + Factors<T>::PADDING;
  constexpr int A_SIZE = A_BY_ROWS ? BM * ALONG : BK * A_ACROSS;
  constexpr int B_SIZE = B_BY_ROWS ? BK * B_ACROSS : BN * ALONG;
  extern __shared__ __align__(16) u8 bytes[];
  T* memory = reinterpret_cast<T*>(bytes);
  i64 at[3];
  place(batches, p.firstBatch + blockIdx.z, at);
  const T* a = static_cast<const T*>(p.a) + at[0];
  const T* b = static_cast<const T*>(p.b) + at[1];
  u32 row0 = blockIdx.y * BM;
  u32 column0 = blockIdx.x * BN;
  u32 warp = threadIdx.x / 32;
  u32 warpRow = warp / (BN / WN) * WM;
  u32 warpColumn = warp % (BN / WN) * WN;

  auto load = [&](u32 k0, u32 stage) {
    T* as = memory + stage * (A_SIZE + B_SIZE);
    T* bs = as + A_SIZE;
    if (k0 < p.K) {
      if (A_BY_ROWS) {
        loadTile<THREADS, BM, BK, ALONG>(a, p.aLeading, row0, p.M, k0, p.K, p.aAligned, as);
      } else {
        loadTile<THREADS, BK, BM, A_ACROSS>(a, p.aLeading, k0, p.K, row0, p.M, p.aAligned, as);
      }
      if (B_BY_ROWS) {
        loadTile<THREADS, BK, BN, B_ACROSS>(b, p.bLeading, k0, p.K, column0, p.N, p.bAligned, bs);
      } else {
        loadTile<THREADS, BN, BK, ALONG>(b, p.bLeading, column0, p.N, k0, p.K, p.bAligned, bs);
      }
    }
    commitCopies();
  };

  float sums[WM / 16][WN / 8][4] = {};
#pragma unroll
  for (u32 stage = 0; stage < STAGES - 1; stage++) {
    load(stage * BK, stage);
  }
  u32 stage = 0;
  for (u32 k0 = 0; k0 < p.K; k0 += BK) {
    waitForCopies<STAGES - 2>();
    __syncthreads();
    load(k0 + (STAGES - 1) * BK, (stage + STAGES - 1) % STAGES);
    const T* as = memory + stage * (A_SIZE + B_SIZE);
    const T* bs = as + A_SIZE;
#pragma unroll
    for (int k = 0; k < BK; k += Factors<T>::STEP) {
      u32 left[WM / 16][4];
#pragma unroll
      for (int i = 0; i < WM / 16; i++) {
        Factors<T>::template loadLeft<A_BY_ROWS, BM>(left[i], as, warpRow + i * 16, k);
      }
#pragma unroll
      for (int j = 0; j < WN / 16; j++) {
        u32 right[4];
        Factors<T>::template loadRight<!B_BY_ROWS, BN>(right, bs, warpColumn + j * 16, k);
#pragma unroll
        for (int i = 0; i < WM / 16; i++) {
          Factors<T>::multiply(sums[i][2 * j], left[i], right[0], right[1]);
          Factors<T>::multiply(sums[i][2 * j + 1], left[i], right[2], right[3]);
        }
      }
    }
    stage = (stage + 1) % STAGES;
  }
  waitForCopies<0>();

  // Results go through shared memory, so that neighbouring threads store neighbours.
  constexpr int SUMS = BN + 8;
  float* tile = reinterpret_cast<float*>(bytes);
  __syncthreads();
  u32 lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < WM / 16; i++) {
#pragma unroll
    for (int j = 0; j < WN / 8; j++) {
      float* to = tile + (warpRow + i * 16 + lane / 4) * SUMS + warpColumn + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(to) = make_float2(sums[i][j][0], sums[i][j][1]);
      *reinterpret_cast<float2*>(to + 8 * SUMS) = make_float2(sums[i][j][2], sums[i][j][3]);
    }
  }
  __syncthreads();
#pragma unroll 2
  for (u32 i = threadIdx.x * 2; i < BM * BN; i += THREADS * 2) {
    u32 row = i / BN;
    u32 column = i % BN;
    float2 pair = *reinterpret_cast<const float2*>(tile + row * SUMS + column);
    row += row0;
    column += column0;
    if (row < p.M && column < p.N) {
      store(p, pair, at[2] + row * p.yRow + column * p.yColumn, column);
    }
  }
}

// a then b: n lies by rows, t by columns.
#define MATMUL(T, prefix, BM, BN, WM, WN, THREADS, BLOCKS, form, A_BY_ROWS, B_BY_ROWS)    \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                           \
      prefix##_##BM##x##BN##_##form(MatmulArguments arguments, Strided<3> batches) {      \
    matmul<T, BM, BN, WM, WN, A_BY_ROWS, B_BY_ROWS>(arguments, batches);                  \
  }

#define MATMULS(T, prefix, BM, BN, WM, WN, THREADS, BLOCKS)                     \
  MATMUL(T, prefix, BM, BN, WM, WN, THREADS, BLOCKS, nn, true, true)            \
  MATMUL(T, prefix, BM, BN, WM, WN, THREADS, BLOCKS, nt, true, false)           \
  MATMUL(T, prefix, BM, BN, WM, WN, THREADS, BLOCKS, tn, false, true)           \
  MATMUL(T, prefix, BM, BN, WM, WN, THREADS, BLOCKS, tt, false, false)

// The host knows the tiles and their shared memory.
#define ALL_TILES(T, prefix)                       \
  MATMULS(T, prefix, 128, 128, 64, 32, 256, 2)     \
  MATMULS(T, prefix, 128, 64, 64, 32, 128, 2)      \
  MATMULS(T, prefix, 64, 64, 32, 32, 128, 3)
