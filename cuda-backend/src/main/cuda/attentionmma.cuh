// attention.cu's functions on tensor cores, in half_t (bf16 or f16) with sums in F32. Source:
// arXiv:2307.08691 (FlashAttention-2).
//
// A block of 4 warps has 64 rows of its own (queries, or keys for dk and dv), a warp 16 of them,
// and walks over tiles of COLUMNS rows of the other side, which come by cp.async into one half of
// shared memory while the other half is used. Scores stay in registers: a warp's result of one
// product, rounded to half_t, is the left operand of the next. Widths of heads are filled up with
// zeros to WIDTH. Each gradient is summed by one block in the order of the tiles: no atomics.
#pragma once

#include "tensorcore.cuh"
#include "attention.cuh"

#define WARPS 4
#define ROWS (16 * WARPS)
#define THREADS (32 * WARPS)
#define PITCH(width) ((width) + 8)  // rows of eight matrices on different banks
#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f

// COUNT rows from `first` on, on their way; zeros outside the array.
template <int COUNT, int WIDTH>
__device__ __forceinline__ void loadRows(
    const half_t* x, i64 stride, u32 first, u32 rows, u32 width, bool aligned, half_t* tile) {
  loadTile<THREADS, COUNT, WIDTH, PITCH(WIDTH)>(
      x, stride, first, rows, 0, width, aligned, tile);
}

// A warp's 16 rows as left operands.
template <int WIDTH>
struct Left {
  u32 parts[WIDTH / 16][4];

  __device__ __forceinline__ void load(const half_t* tile) {
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++) {
      loadLeft(parts[k], tile + threadIdx.x / 32 * 16 * PITCH(WIDTH) + k * 16, PITCH(WIDTH));
    }
  }
};

// s = left · tileᵀ, tile [COLUMNS, WIDTH]
template <int COLUMNS, int WIDTH>
__device__ __forceinline__ void dots(
    const Left<WIDTH>& left, const half_t* tile, float (&s)[COLUMNS / 8][4]) {
#pragma unroll
  for (int n = 0; n < COLUMNS / 8; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      s[n][i] = 0;
    }
  }
#pragma unroll
  for (int k = 0; k < WIDTH / 16; k++) {
#pragma unroll
    for (int n = 0; n < COLUMNS / 16; n++) {
      u32 right[4];
      loadRightByColumns(right, tile + n * 16 * PITCH(WIDTH) + k * 16, PITCH(WIDTH));
      multiplyAdd<half_t>(s[2 * n], left.parts[k], right[0], right[1]);
      multiplyAdd<half_t>(s[2 * n + 1], left.parts[k], right[2], right[3]);
    }
  }
}

// sums += weights · tile, weights [16, COLUMNS], tile [COLUMNS, WIDTH]
template <int COLUMNS, int WIDTH>
__device__ __forceinline__ void addProduct(
    const float (&weights)[COLUMNS / 8][4], const half_t* tile, float (&sums)[WIDTH / 8][4]) {
#pragma unroll
  for (int k = 0; k < COLUMNS / 16; k++) {
    const float(&low)[4] = weights[2 * k];
    const float(&high)[4] = weights[2 * k + 1];
    u32 left[4] = {
        pack<half_t>(low[0], low[1]), pack<half_t>(low[2], low[3]), pack<half_t>(high[0], high[1]),
        pack<half_t>(high[2], high[3])};
#pragma unroll
    for (int n = 0; n < WIDTH / 16; n++) {
      u32 right[4];
      loadRightByRows(right, tile + k * 16 * PITCH(WIDTH) + n * 16, PITCH(WIDTH));
      multiplyAdd<half_t>(sums[2 * n], left, right[0], right[1]);
      multiplyAdd<half_t>(sums[2 * n + 1], left, right[2], right[3]);
    }
  }
}

// The row of a block, and the column, of a thread's i-th number of the n-th fragment.
__device__ __forceinline__ u32 rowOf(int i) {
  return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 * 8;
}

__device__ __forceinline__ u32 columnOf(int n, int i) {
  return n * 8 + threadIdx.x % 4 * 2 + i % 2;
}

template <int WIDTH>
__device__ __forceinline__ void storeRows(
    half_t* y, i64 stride, u32 first, u32 rows, u32 width, bool aligned,
    const float (&values)[WIDTH / 8][4]) {
#pragma unroll
  for (int n = 0; n < WIDTH / 8; n++) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      u32 row = first + rowOf(i);
      u32 column = columnOf(n, i);
      half_t* at = y + row * stride + column;
      if (row < rows && aligned && column < width) {
        *reinterpret_cast<u32*>(at) = pack<half_t>(values[n][i], values[n][i + 1]);
      } else if (row < rows) {
        if (column < width) {
          at[0] = fromFloat<half_t>(values[n][i]);
        }
        if (column + 1 < width) {
          at[1] = fromFloat<half_t>(values[n][i + 1]);
        }
      }
    }
  }
}

// Over the 4 threads of a row.
__device__ __forceinline__ float rowMax(float value) {
  value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 1));
  return fmaxf(value, __shfl_xor_sync(ALL_LANES, value, 2));
}

__device__ __forceinline__ float rowSum(float value) {
  value += __shfl_xor_sync(ALL_LANES, value, 1);
  return value + __shfl_xor_sync(ALL_LANES, value, 2);
}

// Two tiles [COLUMNS, WIDTH] in each of two halves.
template <int COLUMNS, int WIDTH>
struct Halves {
  half_t first[2][COLUMNS * PITCH(WIDTH)];
  half_t second[2][COLUMNS * PITCH(WIDTH)];
};

// Grid: (tiles of queries, H, B). The tiles that see most keys go first.
template <int WIDTH, int COLUMNS>
__device__ __forceinline__ void forward(const AttentionArguments<half_t>& p) {
  extern __shared__ __align__(16) half_t memory[];
  Halves<COLUMNS, WIDTH>& tiles = *reinterpret_cast<Halves<COLUMNS, WIDTH>*>(memory);
  u32 first = (gridDim.x - 1 - blockIdx.x) * ROWS;
  const half_t* k = headOf(p.k, p.kAt);
  const half_t* v = headOf(p.v, p.vAt);

  // Queries go through the tiles' memory into registers.
  loadRows<ROWS, WIDTH>(headOf(p.q, p.qAt), p.qAt.row, first, p.Tq, p.D, p.aligned, memory);
  commitCopies();
  waitForCopies<0>();
  __syncthreads();
  Left<WIDTH> q;
  q.load(memory);
  __syncthreads();

  float sums[WIDTH / 8][4] = {};
  float largest[2] = {-infinity(), -infinity()};  // of rows 0 and 8, in units of log2
  float total[2] = {0, 0};
  float scale = p.scale * LOG2_E;
  u32 end = keysBefore(p, first + ROWS);
  auto load = [&](u32 key, int half) {
    if (key < end) {
      loadRows<COLUMNS, WIDTH>(k, p.kAt.row, key, p.Tk, p.D, p.aligned, tiles.first[half]);
      loadRows<COLUMNS, WIDTH>(v, p.vAt.row, key, p.Tk, p.E, p.aligned, tiles.second[half]);
    }
    commitCopies();
  };
  load(0, 0);
  int half = 0;
  for (u32 key0 = 0; key0 < end; key0 += COLUMNS) {
    load(key0 + COLUMNS, half ^ 1);
    waitForCopies<1>();
    __syncthreads();
    float s[COLUMNS / 8][4];
    dots<COLUMNS, WIDTH>(q, tiles.first[half], s);
    bool all = allSeen(p, first, ROWS, key0, COLUMNS);
    float most[2] = {largest[0], largest[1]};
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        bool seen = all || sees(p, first + rowOf(i), key0 + columnOf(n, i));
        s[n][i] = seen ? s[n][i] * scale : -infinity();
        most[i / 2] = fmaxf(most[i / 2], s[n][i]);
      }
    }
    float shift[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      most[r] = rowMax(most[r]);
      shift[r] = most[r] == -infinity() ? 0 : most[r];
      float shrink = exp2Fast(largest[r] - shift[r]);
      largest[r] = most[r];
      total[r] *= shrink;
#pragma unroll
      for (int n = 0; n < WIDTH / 8; n++) {
        sums[n][2 * r] *= shrink;
        sums[n][2 * r + 1] *= shrink;
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      Dropout dropout;
#pragma unroll
      for (int n = 0; n < COLUMNS / 8; n++) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; i++) {
          s[n][i] = exp2Fast(s[n][i] - shift[r]);
          total[r] += s[n][i];
          if (p.state) {
            s[n][i] *= dropout.factor(p, first + rowOf(i), key0 + columnOf(n, i));
          }
        }
      }
    }
    addProduct<COLUMNS, WIDTH>(s, tiles.second[half], sums);
    __syncthreads();
    half ^= 1;
  }
  waitForCopies<0>();
#pragma unroll
  for (int r = 0; r < 2; r++) {
    float all = rowSum(total[r]);
    u32 query = first + rowOf(2 * r);
    if (threadIdx.x % 4 == 0 && query < p.Tq) {
      float shift = largest[r] == -infinity() ? 0 : largest[r] * LN_2;
      p.logSumExp[(i64)headNumber(p.heads) * p.Tq + query] = logf(all) + shift;
    }
    float inverse = all == 0 ? 0 : 1 / all;
#pragma unroll
    for (int n = 0; n < WIDTH / 8; n++) {
      sums[n][2 * r] *= inverse;
      sums[n][2 * r + 1] *= inverse;
    }
  }
  storeRows<WIDTH>(headOf(p.y, p.yAt), p.yAt.row, first, p.Tq, p.E, p.aligned, sums);
}

// A weight before dropout, from a score that has not been scaled; both numbers in units of log2.
__device__ __forceinline__ float weightOf(float dot, float scale, float logSumExp, bool seen) {
  float shift = logSumExp == -infinity() ? 0 : logSumExp;
  return seen ? exp2Fast(dot * scale - shift) : 0;
}

// dq = scale·ds·k with ds = p ⊙ (dropout(dy·vᵀ) − delta); leaves delta = Σ dy⊙y for dk and dv.
// Grid: (tiles of queries, H, B).
template <int WIDTH, int COLUMNS>
__device__ __forceinline__ void gradientQ(const AttentionArguments<half_t>& p) {
  extern __shared__ __align__(16) half_t memory[];
  Halves<COLUMNS, WIDTH>& tiles = *reinterpret_cast<Halves<COLUMNS, WIDTH>*>(memory);
  u32 first = (gridDim.x - 1 - blockIdx.x) * ROWS;
  const half_t* k = headOf(p.k, p.kAt);
  const half_t* v = headOf(p.v, p.vAt);
  const half_t* y = headOf(p.y, p.yAt);
  Left<WIDTH> q;
  Left<WIDTH> dy;
  loadRows<ROWS, WIDTH>(headOf(p.q, p.qAt), p.qAt.row, first, p.Tq, p.D, p.aligned, memory);
  commitCopies();
  waitForCopies<0>();
  __syncthreads();
  q.load(memory);
  __syncthreads();
  loadRows<ROWS, WIDTH>(headOf(p.dy, p.dyAt), p.dyAt.row, first, p.Tq, p.E, p.aligned, memory);
  commitCopies();
  waitForCopies<0>();
  __syncthreads();
  dy.load(memory);
  float logSumExp[2];
  float delta[2];
#pragma unroll
  for (int r = 0; r < 2; r++) {
    u32 row = rowOf(2 * r);
    u32 query = first + row;
    float part = 0;
    for (u32 e = threadIdx.x % 4; query < p.Tq && e < p.E; e += 4) {
      part = fmaf(toFloat(memory[row * PITCH(WIDTH) + e]), toFloat(y[query * p.yAt.row + e]), part);
    }
    delta[r] = rowSum(part);
    i64 at = (i64)headNumber(p.heads) * p.Tq + query;
    logSumExp[r] = query < p.Tq ? p.logSumExp[at] * LOG2_E : 0;
    if (threadIdx.x % 4 == 0 && query < p.Tq) {
      p.delta[at] = delta[r];
    }
  }
  __syncthreads();

  float sums[WIDTH / 8][4] = {};
  float scale = p.scale * LOG2_E;
  u32 end = keysBefore(p, first + ROWS);
  auto load = [&](u32 key, int half) {
    if (key < end) {
      loadRows<COLUMNS, WIDTH>(k, p.kAt.row, key, p.Tk, p.D, p.aligned, tiles.first[half]);
      loadRows<COLUMNS, WIDTH>(v, p.vAt.row, key, p.Tk, p.E, p.aligned, tiles.second[half]);
    }
    commitCopies();
  };
  load(0, 0);
  int half = 0;
  for (u32 key0 = 0; key0 < end; key0 += COLUMNS) {
    load(key0 + COLUMNS, half ^ 1);
    waitForCopies<1>();
    __syncthreads();
    float s[COLUMNS / 8][4];
    float dp[COLUMNS / 8][4];
    dots<COLUMNS, WIDTH>(q, tiles.first[half], s);
    dots<COLUMNS, WIDTH>(dy, tiles.second[half], dp);
    bool all = allSeen(p, first, ROWS, key0, COLUMNS);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      Dropout dropout;
#pragma unroll
      for (int n = 0; n < COLUMNS / 8; n++) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; i++) {
          u32 query = first + rowOf(i);
          u32 key = key0 + columnOf(n, i);
          float weight = weightOf(s[n][i], scale, logSumExp[r], all || sees(p, query, key));
          float d = p.state ? dp[n][i] * dropout.factor(p, query, key) : dp[n][i];
          s[n][i] = weight * (d - delta[r]);
        }
      }
    }
    addProduct<COLUMNS, WIDTH>(s, tiles.first[half], sums);
    __syncthreads();
    half ^= 1;
  }
  waitForCopies<0>();
#pragma unroll
  for (int n = 0; n < WIDTH / 8; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      sums[n][i] *= p.scale;
    }
  }
  storeRows<WIDTH>(headOf(p.dq, p.dqAt), p.dqAt.row, first, p.Tq, p.D, p.aligned, sums);
}

// dv = p̃ᵀ·dy and dk = scale·dsᵀ·q, p̃ being the weights after dropout. A warp's rows are keys.
// Grid: (tiles of keys, H, B).
template <int WIDTH, int COLUMNS>
__device__ __forceinline__ void gradientKv(const AttentionArguments<half_t>& p) {
  extern __shared__ __align__(16) half_t memory[];
  __shared__ float logSumExps[2][COLUMNS];
  __shared__ float deltas[2][COLUMNS];
  // Keys and values stay in shared memory where registers would not do.
  constexpr bool RESIDENT = WIDTH > 64;
  half_t* ks = memory;
  half_t* vs = memory + ROWS * PITCH(WIDTH);
  Halves<COLUMNS, WIDTH>& tiles =
      *reinterpret_cast<Halves<COLUMNS, WIDTH>*>(memory + (RESIDENT ? 2 * ROWS * PITCH(WIDTH) : 0));
  u32 first = blockIdx.x * ROWS;
  const half_t* q = headOf(p.q, p.qAt);
  const half_t* dy = headOf(p.dy, p.dyAt);
  i64 head = (i64)headNumber(p.heads) * p.Tq;
  loadRows<ROWS, WIDTH>(headOf(p.k, p.kAt), p.kAt.row, first, p.Tk, p.D, p.aligned, ks);
  loadRows<ROWS, WIDTH>(headOf(p.v, p.vAt), p.vAt.row, first, p.Tk, p.E, p.aligned, vs);
  commitCopies();
  waitForCopies<0>();
  __syncthreads();
  Left<WIDTH> k;
  Left<WIDTH> v;
  if (!RESIDENT) {
    k.load(ks);
    v.load(vs);
    __syncthreads();
  }

  float dk[WIDTH / 8][4] = {};
  float dv[WIDTH / 8][4] = {};
  float scale = p.scale * LOG2_E;
  auto load = [&](u32 query, int half) {
    if (query < p.Tq) {
      loadRows<COLUMNS, WIDTH>(q, p.qAt.row, query, p.Tq, p.D, p.aligned, tiles.first[half]);
      loadRows<COLUMNS, WIDTH>(dy, p.dyAt.row, query, p.Tq, p.E, p.aligned, tiles.second[half]);
      u32 i = threadIdx.x % COLUMNS;
      bool inside = query + i < p.Tq;
      i64 at = inside ? head + query + i : 0;
      if (threadIdx.x < COLUMNS) {
        copyAsync4(&logSumExps[half][i], p.logSumExp + at, inside);
      } else if (threadIdx.x < 2 * COLUMNS) {
        copyAsync4(&deltas[half][i], p.delta + at, inside);
      }
    }
    commitCopies();
  };
  u32 start = firstQuery(p, first);
  load(start, 0);
  int half = 0;
  for (u32 query0 = start; query0 < p.Tq; query0 += COLUMNS) {
    load(query0 + COLUMNS, half ^ 1);
    waitForCopies<1>();
    __syncthreads();
    float s[COLUMNS / 8][4];
    float dp[COLUMNS / 8][4];
    if (RESIDENT) {
      k.load(ks);
    }
    dots<COLUMNS, WIDTH>(k, tiles.first[half], s);
    if (RESIDENT) {
      v.load(vs);
    }
    dots<COLUMNS, WIDTH>(v, tiles.second[half], dp);
    bool all = allSeen(p, query0, COLUMNS, first, ROWS);
#pragma unroll
    for (int n = 0; n < COLUMNS / 8; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        u32 column = columnOf(n, i);
        u32 query = query0 + column;
        u32 key = first + rowOf(i);
        float weight = weightOf(
            s[n][i], scale, logSumExps[half][column] * LOG2_E, all || sees(p, query, key));
        float factor = p.state ? Dropout().factor(p, query, key) : 1;
        s[n][i] = weight * factor;
        dp[n][i] = weight * (dp[n][i] * factor - deltas[half][column]);
      }
    }
    addProduct<COLUMNS, WIDTH>(s, tiles.second[half], dv);
    addProduct<COLUMNS, WIDTH>(dp, tiles.first[half], dk);
    __syncthreads();
    half ^= 1;
  }
  waitForCopies<0>();
#pragma unroll
  for (int n = 0; n < WIDTH / 8; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      dk[n][i] *= p.scale;
    }
  }
  storeRows<WIDTH>(headOf(p.dk, p.dkAt), p.dkAt.row, first, p.Tk, p.D, p.aligned, dk);
  storeRows<WIDTH>(headOf(p.dv, p.dvAt), p.dvAt.row, first, p.Tk, p.E, p.aligned, dv);
}

// BLOCKS, and so on: how many blocks a multiprocessor is to hold at once.
#define ATTENTION(name, WIDTH, COLUMNS, BLOCKS, GRADIENT_COLUMNS, Q_BLOCKS, KV_BLOCKS)      \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                             \
      attention_##name##_##WIDTH(AttentionArguments<half_t> arguments) {                    \
    forward<WIDTH, COLUMNS>(arguments);                                                     \
  }                                                                                         \
  extern "C" __global__ void __launch_bounds__(THREADS, Q_BLOCKS)                           \
      attention_gradient_q_##name##_##WIDTH(AttentionArguments<half_t> arguments) {         \
    gradientQ<WIDTH, GRADIENT_COLUMNS>(arguments);                                          \
  }                                                                                         \
  extern "C" __global__ void __launch_bounds__(THREADS, KV_BLOCKS)                          \
      attention_gradient_kv_##name##_##WIDTH(AttentionArguments<half_t> arguments) {        \
    gradientKv<WIDTH, GRADIENT_COLUMNS>(arguments);                                         \
  }
