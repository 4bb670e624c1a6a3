// y = activation(a·b + bias), or y += a·b, in F32 on the ordinary cores, for machines without
// cuBLAS. Shapes: a [batch, M, K], b [batch, K, N], y [batch, M, N] with any strides (so every
// transposed form), bias [N].
//
// A block of 16 × 16 threads makes a tile of BM × BN, a thread R × R groups of 4 × 4 results. Tiles
// of a and b go through shared memory in steps of BK: while one is used, the next is read into
// registers. Results are accumulated along k in order.
#include "fornax.cuh"
#include "strided.cuh"
#include "functions.cuh"

struct MatmulArguments {
  const float* a;
  const float* b;
  const float* bias;  // null: none
  float* before;      // gets a·b + bias; null: not wanted. Laid out as y
  float* y;
  i64 aRow, aColumn, bRow, bColumn, yRow, yColumn;
  u32 M, N, K;
  int accumulate;
  u32 firstBatch;
};

// OP: the activation, or −1. R: groups of four to a side. Grid: (N / BN, M / BM, batch).
template <int OP, int R, int BK>
__device__ __forceinline__ void matmul(const MatmulArguments& p, const Strided<3>& batches) {
  constexpr int BM = 64 * R;
  constexpr int BN = 64 * R;
  constexpr int LOADS = BM * BK / 256;
  __shared__ float as[2][BK][BM + 4];
  __shared__ float bs[2][BK][BN + 4];
  i64 at[3];
  place(batches, p.firstBatch + blockIdx.z, at);
  const float* a = p.a + at[0];
  const float* b = p.b + at[1];
  u32 row0 = blockIdx.y * BM;
  u32 column0 = blockIdx.x * BN;
  u32 tx = threadIdx.x % 16;
  u32 ty = threadIdx.x / 16;

  // Neighbouring threads read along whichever axis is contiguous.
  bool aAlongK = p.aColumn == 1;
  bool bAlongK = p.bRow == 1 && p.bColumn != 1;
  float aNext[LOADS];
  float bNext[LOADS];
  float sums[4 * R][4 * R];
#pragma unroll
  for (int i = 0; i < 4 * R; i++) {
#pragma unroll
    for (int j = 0; j < 4 * R; j++) {
      sums[i][j] = 0;
    }
  }

  auto load = [&](u32 k0) {
#pragma unroll
    for (int l = 0; l < LOADS; l++) {
      u32 i = l * 256 + threadIdx.x;
      u32 m = aAlongK ? i / BK : i % BM;
      u32 k = aAlongK ? i % BK : i / BM;
      bool inside = row0 + m < p.M && k0 + k < p.K;
      aNext[l] = inside ? a[(row0 + m) * p.aRow + (k0 + k) * p.aColumn] : 0;
      u32 n = bAlongK ? i / BK : i % BN;
      k = bAlongK ? i % BK : i / BN;
      inside = column0 + n < p.N && k0 + k < p.K;
      bNext[l] = inside ? b[(k0 + k) * p.bRow + (column0 + n) * p.bColumn] : 0;
    }
  };
  auto store = [&](int buffer) {
#pragma unroll
    for (int l = 0; l < LOADS; l++) {
      u32 i = l * 256 + threadIdx.x;
      u32 m = aAlongK ? i / BK : i % BM;
      u32 k = aAlongK ? i % BK : i / BM;
      as[buffer][k][m] = aNext[l];
      u32 n = bAlongK ? i / BK : i % BN;
      k = bAlongK ? i % BK : i / BN;
      bs[buffer][k][n] = bNext[l];
    }
  };

  load(0);
  store(0);
  __syncthreads();
  int buffer = 0;
  for (u32 k0 = 0; k0 < p.K; k0 += BK) {
    bool more = k0 + BK < p.K;
    if (more) {
      load(k0 + BK);
    }
#pragma unroll 4
    for (int k = 0; k < BK; k++) {
      float av[4 * R];
      float bv[4 * R];
#pragma unroll
      for (int r = 0; r < R; r++) {
        float4 aw = *reinterpret_cast<const float4*>(&as[buffer][k][r * 64 + ty * 4]);
        float4 bw = *reinterpret_cast<const float4*>(&bs[buffer][k][r * 64 + tx * 4]);
        av[r * 4] = aw.x;
        av[r * 4 + 1] = aw.y;
        av[r * 4 + 2] = aw.z;
        av[r * 4 + 3] = aw.w;
        bv[r * 4] = bw.x;
        bv[r * 4 + 1] = bw.y;
        bv[r * 4 + 2] = bw.z;
        bv[r * 4 + 3] = bw.w;
      }
#pragma unroll
      for (int i = 0; i < 4 * R; i++) {
#pragma unroll
        for (int j = 0; j < 4 * R; j++) {
          sums[i][j] = fmaf(av[i], bv[j], sums[i][j]);
        }
      }
    }
    if (more) {
      store(buffer ^ 1);
      __syncthreads();
      buffer ^= 1;
    }
  }

  float* y = p.y + at[2];
  float* before = p.before ? p.before + at[2] : p.before;
#pragma unroll
  for (int i = 0; i < 4 * R; i++) {
    u32 row = row0 + i / 4 * 64 + ty * 4 + i % 4;
#pragma unroll
    for (int j = 0; j < 4 * R; j++) {
      u32 column = column0 + j / 4 * 64 + tx * 4 + j % 4;
      if (row < p.M && column < p.N) {
        i64 place = row * p.yRow + column * p.yColumn;
        float value = sums[i][j];
        if (p.accumulate) {
          value += y[place];
        }
        if (p.bias) {
          value += p.bias[column];
        }
        if (before) {
          before[place] = value;
        }
        y[place] = OP < 0 ? value : unary(OP, value);
      }
    }
  }
}

#define MATMUL(OP, name)                                                  \
  extern "C" __global__ void __launch_bounds__(256)                       \
      matmul_128_##name(MatmulArguments arguments, Strided<3> batches) {  \
    matmul<OP, 2, 8>(arguments, batches);                                 \
  }                                                                       \
  extern "C" __global__ void __launch_bounds__(256, 2)                    \
      matmul_64_##name(MatmulArguments arguments, Strided<3> batches) {   \
    matmul<OP, 1, 16>(arguments, batches);                                \
  }

// The activations of the models here; others follow in a pass of their own (linear.cu).
MATMUL(-1, none)
MATMUL(RELU, relu)
MATMUL(GELU_TANH, gelu_tanh)
