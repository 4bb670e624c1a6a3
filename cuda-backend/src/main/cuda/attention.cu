// y = dropout(softmax(scale·q·kᵀ + mask))·v and its gradients on the ordinary cores, in F32, without
// an array of scores. Source: arXiv:2307.08691 (FlashAttention-2).
//
// A block of 16 × 16 threads keeps ROWS rows of its own (queries, or keys for dk and dv) in shared
// memory and walks over tiles of COLUMNS rows of the other side. A thread has the scores of rows
// ty + 16·i and columns tx + 16·j; a row's 16 threads are lanes of one warp. Widths of heads are
// filled up with zeros to WIDTH. Each gradient is summed by one block in the order of the tiles, so
// that no atomics are needed; the scores are made twice, for dq and for dk and dv.
#include "fornax.cuh"
#include "attention.cuh"

#define PITCH(width) ((width) + 4)  // rows of shared memory on different banks, still aligned to 16

// ROWS rows from `first` on; zeros outside the array.
template <int ROWS, int WIDTH, typename T>
__device__ __forceinline__ void loadRows(
    const T* x, i64 stride, u32 first, u32 rows, u32 width, bool aligned,
    float (*tile)[PITCH(WIDTH)]) {
  if (aligned) {
    for (u32 i = threadIdx.x; i < ROWS * WIDTH / 4; i += 256) {
      u32 row = i / (WIDTH / 4);
      u32 column = i % (WIDTH / 4) * 4;
      float v[4] = {0, 0, 0, 0};
      if (first + row < rows && column < width) {
        load4(x + (first + row) * stride + column, v);
      }
      store4(&tile[row][column], v);
    }
  } else {
    for (u32 i = threadIdx.x; i < ROWS * WIDTH; i += 256) {
      u32 row = i / WIDTH;
      u32 column = i % WIDTH;
      bool inside = first + row < rows && column < width;
      tile[row][column] = inside ? toFloat(x[(first + row) * stride + column]) : 0;
    }
  }
}

// s[i][j] = a[ty + 16·i] · b[tx + 16·j]
template <int I, int J, int WIDTH>
__device__ __forceinline__ void dots(
    const float (*a)[PITCH(WIDTH)], const float (*b)[PITCH(WIDTH)], float (&s)[I][J]) {
  u32 tx = threadIdx.x % 16;
  u32 ty = threadIdx.x / 16;
#pragma unroll
  for (int i = 0; i < I; i++) {
#pragma unroll
    for (int j = 0; j < J; j++) {
      s[i][j] = 0;
    }
  }
#pragma unroll 2
  for (int k = 0; k < WIDTH; k += 4) {
    float av[I][4];
    float bv[J][4];
#pragma unroll
    for (int i = 0; i < I; i++) {
      load4(&a[ty + 16 * i][k], av[i]);
    }
#pragma unroll
    for (int j = 0; j < J; j++) {
      load4(&b[tx + 16 * j][k], bv[j]);
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
#pragma unroll
      for (int i = 0; i < I; i++) {
#pragma unroll
        for (int j = 0; j < J; j++) {
          s[i][j] = fmaf(av[i][l], bv[j][l], s[i][j]);
        }
      }
    }
  }
}

// A thread's columns of a result: groups of neighbours.
template <int WIDTH>
struct Columns {
  static constexpr int COUNT = WIDTH / 16;
  static constexpr int GROUP = COUNT < 4 ? COUNT : 4;

  static __device__ __forceinline__ u32 of(int n) {
    return n / GROUP * 16 * GROUP + threadIdx.x % 16 * GROUP + n % GROUP;
  }
};

// sums[i][n] += Σ_c weights[ty + 16·i][c]·tile[c][column n]
template <int I, int COLUMNS, int WIDTH>
__device__ __forceinline__ void addProduct(
    const float (*weights)[PITCH(COLUMNS)],
    const float (*tile)[PITCH(WIDTH)],
    float (&sums)[I][Columns<WIDTH>::COUNT]) {
  u32 ty = threadIdx.x / 16;
#pragma unroll 2
  for (int c = 0; c < COLUMNS; c += 4) {
    float w[I][4];
#pragma unroll
    for (int i = 0; i < I; i++) {
      load4(&weights[ty + 16 * i][c], w[i]);
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
#pragma unroll
      for (int n = 0; n < Columns<WIDTH>::COUNT; n++) {
        float x = tile[c + l][Columns<WIDTH>::of(n)];
#pragma unroll
        for (int i = 0; i < I; i++) {
          sums[i][n] = fmaf(w[i][l], x, sums[i][n]);
        }
      }
    }
  }
}

template <int I, int WIDTH, typename T>
__device__ __forceinline__ void storeRows(
    T* y, i64 stride, u32 first, u32 rows, u32 width, const float (&values)[I][WIDTH / 16]) {
#pragma unroll
  for (int i = 0; i < I; i++) {
    u32 row = first + threadIdx.x / 16 + 16 * i;
#pragma unroll
    for (int n = 0; n < WIDTH / 16; n++) {
      u32 column = Columns<WIDTH>::of(n);
      if (row < rows && column < width) {
        y[row * stride + column] = fromFloat<T>(values[i][n]);
      }
    }
  }
}

// Over the 16 threads of a row.
template <typename Op>
__device__ __forceinline__ float rowReduce(float value) {
#pragma unroll
  for (int lanes = 8; lanes > 0; lanes >>= 1) {
    value = Op::apply(value, __shfl_xor_sync(ALL_LANES, value, lanes));
  }
  return value;
}

// Grid: (tiles of queries, H, B). The tiles that see most keys go first.
template <typename T, int WIDTH, int ROWS, int COLUMNS>
__device__ __forceinline__ void forward(const AttentionArguments<T>& p) {
  constexpr int I = ROWS / 16;
  constexpr int J = COLUMNS / 16;
  __shared__ __align__(16) float qs[ROWS][PITCH(WIDTH)];
  __shared__ __align__(16) float ks[COLUMNS][PITCH(WIDTH)];
  __shared__ __align__(16) float vs[COLUMNS][PITCH(WIDTH)];
  __shared__ __align__(16) float weights[ROWS][PITCH(COLUMNS)];
  u32 tx = threadIdx.x % 16;
  u32 ty = threadIdx.x / 16;
  u32 first = (gridDim.x - 1 - blockIdx.x) * ROWS;
  const T* k = headOf(p.k, p.kAt);
  const T* v = headOf(p.v, p.vAt);
  loadRows<ROWS, WIDTH>(headOf(p.q, p.qAt), p.qAt.row, first, p.Tq, p.D, p.aligned, qs);

  float sums[I][WIDTH / 16] = {};
  float largest[I];
  float total[I];
#pragma unroll
  for (int i = 0; i < I; i++) {
    largest[i] = -infinity();
    total[i] = 0;
  }
  u32 end = keysBefore(p, first + ROWS);
  for (u32 key0 = 0; key0 < end; key0 += COLUMNS) {
    loadRows<COLUMNS, WIDTH>(k, p.kAt.row, key0, p.Tk, p.D, p.aligned, ks);
    loadRows<COLUMNS, WIDTH>(v, p.vAt.row, key0, p.Tk, p.E, p.aligned, vs);
    __syncthreads();
    float s[I][J];
    dots<I, J, WIDTH>(qs, ks, s);
    bool all = allSeen(p, first, ROWS, key0, COLUMNS);
#pragma unroll
    for (int i = 0; i < I; i++) {
      u32 query = first + ty + 16 * i;
      float most = largest[i];
#pragma unroll
      for (int j = 0; j < J; j++) {
        bool seen = all || sees(p, query, key0 + tx + 16 * j);
        s[i][j] = seen ? s[i][j] * p.scale : -infinity();
        most = fmaxf(most, s[i][j]);
      }
      most = rowReduce<Max>(most);
      float shift = most == -infinity() ? 0 : most;
      float shrink = expf(largest[i] - shift);
      largest[i] = most;
      total[i] *= shrink;
#pragma unroll
      for (int n = 0; n < WIDTH / 16; n++) {
        sums[i][n] *= shrink;
      }
      Dropout dropout;
#pragma unroll
      for (int j = 0; j < J; j++) {
        float e = expf(s[i][j] - shift);
        total[i] += e;
        if (p.state) {
          e *= dropout.factor(p, query, key0 + tx + 16 * j);
        }
        weights[ty + 16 * i][tx + 16 * j] = e;
      }
    }
    __syncwarp();
    addProduct<I, COLUMNS, WIDTH>(weights, vs, sums);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < I; i++) {
    float all = rowReduce<Sum>(total[i]);
    u32 query = first + ty + 16 * i;
    if (tx == 0 && query < p.Tq) {
      float shift = largest[i] == -infinity() ? 0 : largest[i];
      p.logSumExp[(i64)headNumber(p.heads) * p.Tq + query] = logf(all) + shift;
    }
    float inverse = all == 0 ? 0 : 1 / all;
#pragma unroll
    for (int n = 0; n < WIDTH / 16; n++) {
      sums[i][n] *= inverse;
    }
  }
  storeRows<I, WIDTH>(headOf(p.y, p.yAt), p.yAt.row, first, p.Tq, p.E, sums);
}

// A weight before dropout, from a score that has not been scaled.
__device__ __forceinline__ float weightOf(float dot, float scale, float logSumExp, bool seen) {
  float shift = logSumExp == -infinity() ? 0 : logSumExp;
  return seen ? expf(dot * scale - shift) : 0;
}

// dq = scale·ds·k with ds = p ⊙ (dropout(dy·vᵀ) − delta); leaves delta = Σ dy⊙y for dk and dv.
// Grid: (tiles of queries, H, B).
template <typename T, int WIDTH, int ROWS, int COLUMNS>
__device__ __forceinline__ void gradientQ(const AttentionArguments<T>& p) {
  constexpr int I = ROWS / 16;
  constexpr int J = COLUMNS / 16;
  __shared__ __align__(16) float qs[ROWS][PITCH(WIDTH)];
  __shared__ __align__(16) float dys[ROWS][PITCH(WIDTH)];
  __shared__ __align__(16) float ks[COLUMNS][PITCH(WIDTH)];
  __shared__ __align__(16) float vs[COLUMNS][PITCH(WIDTH)];
  __shared__ __align__(16) float dss[ROWS][PITCH(COLUMNS)];
  u32 tx = threadIdx.x % 16;
  u32 ty = threadIdx.x / 16;
  u32 first = (gridDim.x - 1 - blockIdx.x) * ROWS;
  const T* k = headOf(p.k, p.kAt);
  const T* v = headOf(p.v, p.vAt);
  const T* y = headOf(p.y, p.yAt);
  loadRows<ROWS, WIDTH>(headOf(p.q, p.qAt), p.qAt.row, first, p.Tq, p.D, p.aligned, qs);
  loadRows<ROWS, WIDTH>(headOf(p.dy, p.dyAt), p.dyAt.row, first, p.Tq, p.E, p.aligned, dys);
  __syncthreads();
  float sums[I][WIDTH / 16] = {};
  float logSumExp[I];
  float delta[I];
#pragma unroll
  for (int i = 0; i < I; i++) {
    u32 query = first + ty + 16 * i;
    float part = 0;
    for (u32 e = tx; query < p.Tq && e < p.E; e += 16) {
      part = fmaf(dys[ty + 16 * i][e], toFloat(y[query * p.yAt.row + e]), part);
    }
    delta[i] = rowReduce<Sum>(part);
    i64 at = (i64)headNumber(p.heads) * p.Tq + query;
    logSumExp[i] = query < p.Tq ? p.logSumExp[at] : 0;
    if (tx == 0 && query < p.Tq) {
      p.delta[at] = delta[i];
    }
  }
  u32 end = keysBefore(p, first + ROWS);
  for (u32 key0 = 0; key0 < end; key0 += COLUMNS) {
    loadRows<COLUMNS, WIDTH>(k, p.kAt.row, key0, p.Tk, p.D, p.aligned, ks);
    loadRows<COLUMNS, WIDTH>(v, p.vAt.row, key0, p.Tk, p.E, p.aligned, vs);
    __syncthreads();
    float s[I][J];
    float dp[I][J];
    dots<I, J, WIDTH>(qs, ks, s);
    dots<I, J, WIDTH>(dys, vs, dp);
    bool all = allSeen(p, first, ROWS, key0, COLUMNS);
#pragma unroll
    for (int i = 0; i < I; i++) {
      u32 query = first + ty + 16 * i;
      Dropout dropout;
#pragma unroll
      for (int j = 0; j < J; j++) {
        u32 key = key0 + tx + 16 * j;
        float weight = weightOf(s[i][j], p.scale, logSumExp[i], all || sees(p, query, key));
        float d = p.state ? dp[i][j] * dropout.factor(p, query, key) : dp[i][j];
        dss[ty + 16 * i][tx + 16 * j] = weight * (d - delta[i]) * p.scale;
      }
    }
    __syncwarp();
    addProduct<I, COLUMNS, WIDTH>(dss, ks, sums);
    __syncthreads();
  }
  storeRows<I, WIDTH>(headOf(p.dq, p.dqAt), p.dqAt.row, first, p.Tq, p.D, sums);
}

// dv = p̃ᵀ·dy and dk = scale·dsᵀ·q, p̃ being the weights after dropout. Grid: (tiles of keys, H, B).
template <typename T, int WIDTH, int ROWS, int COLUMNS>
__device__ __forceinline__ void gradientKv(const AttentionArguments<T>& p) {
  constexpr int I = ROWS / 16;
  constexpr int J = COLUMNS / 16;
  __shared__ __align__(16) float ks[ROWS][PITCH(WIDTH)];
  __shared__ __align__(16) float vs[ROWS][PITCH(WIDTH)];
  __shared__ __align__(16) float qs[COLUMNS][PITCH(WIDTH)];
  __shared__ __align__(16) float dys[COLUMNS][PITCH(WIDTH)];
  __shared__ __align__(16) float weights[ROWS][PITCH(COLUMNS)];
  __shared__ __align__(16) float dss[ROWS][PITCH(COLUMNS)];
  u32 tx = threadIdx.x % 16;
  u32 ty = threadIdx.x / 16;
  u32 first = blockIdx.x * ROWS;
  const T* q = headOf(p.q, p.qAt);
  const T* dy = headOf(p.dy, p.dyAt);
  i64 head = (i64)headNumber(p.heads) * p.Tq;
  loadRows<ROWS, WIDTH>(headOf(p.k, p.kAt), p.kAt.row, first, p.Tk, p.D, p.aligned, ks);
  loadRows<ROWS, WIDTH>(headOf(p.v, p.vAt), p.vAt.row, first, p.Tk, p.E, p.aligned, vs);
  float dk[I][WIDTH / 16] = {};
  float dv[I][WIDTH / 16] = {};
  for (u32 query0 = firstQuery(p, first); query0 < p.Tq; query0 += COLUMNS) {
    loadRows<COLUMNS, WIDTH>(q, p.qAt.row, query0, p.Tq, p.D, p.aligned, qs);
    loadRows<COLUMNS, WIDTH>(dy, p.dyAt.row, query0, p.Tq, p.E, p.aligned, dys);
    __syncthreads();
    float s[I][J];
    float dp[I][J];
    dots<I, J, WIDTH>(ks, qs, s);
    dots<I, J, WIDTH>(vs, dys, dp);
    bool all = allSeen(p, query0, COLUMNS, first, ROWS);
#pragma unroll
    for (int j = 0; j < J; j++) {
      u32 query = query0 + tx + 16 * j;
      float logSumExp = query < p.Tq ? p.logSumExp[head + query] : 0;
      float delta = query < p.Tq ? p.delta[head + query] : 0;
      Dropout dropout;
#pragma unroll
      for (int i = 0; i < I; i++) {
        u32 key = first + ty + 16 * i;
        float weight = weightOf(s[i][j], p.scale, logSumExp, all || sees(p, query, key));
        float factor = p.state ? dropout.factor(p, query, key) : 1;
        weights[ty + 16 * i][tx + 16 * j] = weight * factor;
        dss[ty + 16 * i][tx + 16 * j] = weight * (dp[i][j] * factor - delta) * p.scale;
      }
    }
    __syncwarp();
    addProduct<I, COLUMNS, WIDTH>(weights, dys, dv);
    addProduct<I, COLUMNS, WIDTH>(dss, qs, dk);
    __syncthreads();
  }
  storeRows<I, WIDTH>(headOf(p.dk, p.dkAt), p.dkAt.row, first, p.Tk, p.D, dk);
  storeRows<I, WIDTH>(headOf(p.dv, p.dvAt), p.dvAt.row, first, p.Tk, p.E, dv);
}

#define ATTENTION(T, type, WIDTH, ROWS, COLUMNS, GRADIENT_ROWS, GRADIENT_COLUMNS)        \
  extern "C" __global__ void __launch_bounds__(256, 2)                                   \
      attention_##type##_##WIDTH(AttentionArguments<T> arguments) {                      \
    forward<T, WIDTH, ROWS, COLUMNS>(arguments);                                         \
  }                                                                                      \
  extern "C" __global__ void __launch_bounds__(256, 2)                                   \
      attention_gradient_q_##type##_##WIDTH(AttentionArguments<T> arguments) {           \
    gradientQ<T, WIDTH, GRADIENT_ROWS, GRADIENT_COLUMNS>(arguments);                     \
  }                                                                                      \
  extern "C" __global__ void __launch_bounds__(256, 2)                                   \
      attention_gradient_kv_##type##_##WIDTH(AttentionArguments<T> arguments) {          \
    gradientKv<T, WIDTH, GRADIENT_ROWS, GRADIENT_COLUMNS>(arguments);                    \
  }

// Tiles that fit into the 48 KiB of shared memory that every card gives a block. The host knows the
// rows of a tile too.
ATTENTION(float, f32, 32, 64, 32, 32, 32)
ATTENTION(float, f32, 64, 64, 32, 32, 32)
ATTENTION(float, f32, 128, 32, 16, 16, 16)
#if __CUDA_ARCH__ < 800  // later cards have attentionmma.cu and attentionmmaf16.cu
ATTENTION(bf16, bf16, 32, 64, 32, 32, 32)
ATTENTION(bf16, bf16, 64, 64, 32, 32, 32)
ATTENTION(bf16, bf16, 128, 32, 16, 16, 16)
ATTENTION(f16, f16, 128, 32, 16, 16, 16)
#endif
#if __CUDA_ARCH__ < 750  // later cards have attentionmmaf16.cu
ATTENTION(f16, f16, 32, 64, 32, 32, 32)
ATTENTION(f16, f16, 64, 64, 32, 32, 32)
#endif
