// y = activation(a·b + bias), or y += a·b, of bf16 matrices on tensor cores with sums in F32: sm_80
// and later. Shapes: a [batch, M, K], b [batch, K, N], each by rows or by columns; y [batch, M, N]
// in F32 or bf16 with any strides; bias [N].
//
// A block makes a tile of BM × BN, a warp one of WM × WN of it. Tiles of a and b come by cp.async
// into shared memory as they lie, BK steps of k at a time, STAGES of them in turn: two are under
// way while one is used. Results are accumulated along k in order.
#include "fornax.cuh"
#include "strided.cuh"
#include "functions.cuh"
#include "tensorcore.cuh"

#define BK 32
#define STAGES 3
#define PITCH(width) ((width) + 8)  // rows of eight matrices on different banks

struct MatmulArguments {
  const bf16* a;
  const bf16* b;
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
      *reinterpret_cast<u32*>(static_cast<bf16*>(y) + to) = packBf16(pair.x, pair.y);
    } else {
      storeFloat(y, p.yType, to, pair.x);
      if (both) {
        storeFloat(y, p.yType, next, pair.y);
      }
    }
  }
}

// Rows of C columns from (row0, column0) on, on their way; zeros outside. Where rows cannot be
// moved 16 bytes at a time they are there when this returns.
template <int THREADS, int R, int C>
__device__ __forceinline__ void loadTile(
    const bf16* x, i64 leading, u32 row0, u32 rows, u32 column0, u32 columns, bool aligned,
    bf16* tile) {
  if (aligned) {
#pragma unroll
    for (u32 i = threadIdx.x; i < R * C / 8; i += THREADS) {
      u32 row = i / (C / 8);
      u32 column = i % (C / 8) * 8;
      u32 left = row0 + row < rows && column0 + column < columns ? columns - column0 - column : 0;
      const bf16* from = left ? x + (row0 + row) * leading + column0 + column : x;
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                       sharedAddress(tile + row * PITCH(C) + column)),
                   "l"(from), "r"(min(left, 8u) * 2)
                   : "memory");
    }
  } else {
    for (u32 i = threadIdx.x; i < R * C; i += THREADS) {
      u32 row = i / C;
      u32 column = i % C;
      bf16 value = {0};
      if (row0 + row < rows && column0 + column < columns) {
        value = x[(row0 + row) * leading + column0 + column];
      }
      tile[row * PITCH(C) + column] = value;
    }
  }
}

// Grid: (N / BN, M / BM, batch).
template <int BM, int BN, int WM, int WN, bool A_BY_ROWS, bool B_BY_ROWS>
__device__ __forceinline__ void matmul(const MatmulArguments& p, const Strided<3>& batches) {
  constexpr int THREADS = BM / WM * (BN / WN) * 32;
  constexpr int A_SIZE = A_BY_ROWS ? BM * PITCH(BK) : BK * PITCH(BM);
  constexpr int B_SIZE = B_BY_ROWS ? BK * PITCH(BN) : BN * PITCH(BK);
  extern __shared__ __align__(16) bf16 memory[];
  i64 at[3];
  place(batches, p.firstBatch + blockIdx.z, at);
  const bf16* a = p.a + at[0];
  const bf16* b = p.b + at[1];
  u32 row0 = blockIdx.y * BM;
  u32 column0 = blockIdx.x * BN;
  u32 warp = threadIdx.x / 32;
  u32 warpRow = warp / (BN / WN) * WM;
  u32 warpColumn = warp % (BN / WN) * WN;

  auto load = [&](u32 k0, u32 stage) {
    bf16* as = memory + stage * (A_SIZE + B_SIZE);
    bf16* bs = as + A_SIZE;
    if (k0 < p.K) {
      if (A_BY_ROWS) {
        loadTile<THREADS, BM, BK>(a, p.aLeading, row0, p.M, k0, p.K, p.aAligned, as);
      } else {
        loadTile<THREADS, BK, BM>(a, p.aLeading, k0, p.K, row0, p.M, p.aAligned, as);
      }
      if (B_BY_ROWS) {
        loadTile<THREADS, BK, BN>(b, p.bLeading, k0, p.K, column0, p.N, p.bAligned, bs);
      } else {
        loadTile<THREADS, BN, BK>(b, p.bLeading, column0, p.N, k0, p.K, p.bAligned, bs);
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
    const bf16* as = memory + stage * (A_SIZE + B_SIZE);
    const bf16* bs = as + A_SIZE;
#pragma unroll
    for (int k = 0; k < BK; k += 16) {
      u32 left[WM / 16][4];
#pragma unroll
      for (int i = 0; i < WM / 16; i++) {
        u32 row = warpRow + i * 16;
        if (A_BY_ROWS) {
          loadLeft(left[i], as + row * PITCH(BK) + k, PITCH(BK));
        } else {
          loadLeftByColumns(left[i], as + k * PITCH(BM) + row, PITCH(BM));
        }
      }
#pragma unroll
      for (int j = 0; j < WN / 16; j++) {
        u32 column = warpColumn + j * 16;
        u32 right[4];
        if (B_BY_ROWS) {
          loadRightByRows(right, bs + k * PITCH(BN) + column, PITCH(BN));
        } else {
          loadRightByColumns(right, bs + column * PITCH(BK) + k, PITCH(BK));
        }
#pragma unroll
        for (int i = 0; i < WM / 16; i++) {
          multiplyAdd(sums[i][2 * j], left[i], right[0], right[1]);
          multiplyAdd(sums[i][2 * j + 1], left[i], right[2], right[3]);
        }
      }
    }
    stage = (stage + 1) % STAGES;
  }
  waitForCopies<0>();

  // Results go through shared memory, so that neighbouring threads store neighbours.
  constexpr int SUMS = BN + 8;
  float* tile = reinterpret_cast<float*>(memory);
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
#define MATMUL(BM, BN, WM, WN, THREADS, BLOCKS, form, A_BY_ROWS, B_BY_ROWS)          \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                      \
      matmul_mma_##BM##x##BN##_##form(MatmulArguments arguments, Strided<3> batches) { \
    matmul<BM, BN, WM, WN, A_BY_ROWS, B_BY_ROWS>(arguments, batches);                \
  }

#define MATMULS(BM, BN, WM, WN, THREADS, BLOCKS)                      \
  MATMUL(BM, BN, WM, WN, THREADS, BLOCKS, nn, true, true)             \
  MATMUL(BM, BN, WM, WN, THREADS, BLOCKS, nt, true, false)            \
  MATMUL(BM, BN, WM, WN, THREADS, BLOCKS, tn, false, true)            \
  MATMUL(BM, BN, WM, WN, THREADS, BLOCKS, tt, false, false)

// The host knows the tiles and their shared memory.
MATMULS(128, 128, 64, 32, 256, 2)
MATMULS(128, 64, 64, 32, 128, 2)
MATMULS(64, 64, 32, 32, 128, 3)
