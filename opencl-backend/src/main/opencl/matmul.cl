// y [M, N] = a [M, K] · b [K, N], for a batch, by tiles in local memory and blocks in registers.
//
// A group of LM x LN work-items makes a tile of (LM·TM) x (LN·TN·VW) elements of y; a work-item makes TM rows of TN
// vectors of VW. Panels of BK columns of a and BK rows of b pass through local memory, where any layout of a and b
// becomes the same: A_ALONG_K and B_ALONG_N only say along which axis neighbouring work-items load. Rows of a work-item
// are LM apart and its vectors LN apart, so that local memory is read without conflicts and y is written in runs.
//
// Epilogue: v = a·b (+ y where accumulate) (+ bias[n]); before = v; y = f_ACT(v).
typedef struct {
  INDEX m, n, k;
  INDEX a_row, a_column, b_row, b_column, y_row, y_column, bias_stride;
  int accumulate, has_bias, has_before;
} Matmul;

#define BM (LM * TM)
#define BN (LN * TN * VW)
#define ITEMS (LM * LN)
#if VW == 1
#define VECTOR float
#else
#define VECTOR JOIN(float, VW)
#endif

kernel __attribute__((reqd_work_group_size(LN, LM, 1))) void matmul(
    IN(A, a),
    IN(B, b),
    OUT(Y, y),
    IN(BIAS, bias),
    OUT(BEFORE, before),
    const Matmul s,
    const Loops batch) {
  local float as[BK][BM + 1];
  local VECTOR bs[BK][LN * TN];
  FROM(a);
  FROM(b);
  FROM(y);
  FROM(bias);
  FROM(before);
  const Places at = places(&batch, 3, (INDEX)get_group_id(2));
  a += at.at[0];
  b += at.at[1];
  y += at.at[2];
  before += at.at[2];
  const int lx = get_local_id(0);
  const int ly = get_local_id(1);
  const int me = ly * LN + lx;
  const INDEX row0 = (INDEX)get_group_id(1) * BM;
  const INDEX column0 = (INDEX)get_group_id(0) * BN;

  VECTOR sum[TM][TN];
#pragma unroll
  for (int i = 0; i < TM; i++) {
#pragma unroll
    for (int j = 0; j < TN; j++) {
      sum[i][j] = (VECTOR)(0.0f);
    }
  }

  for (INDEX k0 = 0; k0 < s.k; k0 += BK) {
    for (int e = me; e < BM * BK; e += ITEMS) {
#if A_ALONG_K
      const int kk = e % BK;
      const int mm = e / BK;
#else
      const int mm = e % BM;
      const int kk = e / BM;
#endif
      const INDEX row = row0 + mm;
      const INDEX column = k0 + kk;
      as[kk][mm] =
          row < s.m && column < s.k ? LOAD(A, a, row * s.a_row + column * s.a_column) : 0.0f;
    }
    for (int e = me; e < BN * BK; e += ITEMS) {
#if B_ALONG_N
      const int nn = e % BN;
      const int kk = e / BN;
#else
      const int kk = e % BK;
      const int nn = e / BK;
#endif
      const INDEX row = k0 + kk;
      const INDEX column = column0 + nn;
      ((local float*)bs[kk])[nn] =
          row < s.k && column < s.n ? LOAD(B, b, row * s.b_row + column * s.b_column) : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    // Panels end in zeros, but 0 · inf is NaN: what lies beyond K stays out.
    const int depth = (int)min((INDEX)BK, s.k - k0);
    // Copies, so that a compiler that keeps `sum` in memory across barriers has it in registers here.
    VECTOR part[TM][TN];
#pragma unroll
    for (int i = 0; i < TM; i++) {
#pragma unroll
      for (int j = 0; j < TN; j++) {
        part[i][j] = sum[i][j];
      }
    }
    for (int kk = 0; kk < depth; kk++) {
      float left[TM];
      VECTOR right[TN];
#pragma unroll
      for (int i = 0; i < TM; i++) {
        left[i] = as[kk][ly + i * LM];
      }
#pragma unroll
      for (int j = 0; j < TN; j++) {
        right[j] = bs[kk][lx + j * LN];
      }
#pragma unroll
      for (int i = 0; i < TM; i++) {
#pragma unroll
        for (int j = 0; j < TN; j++) {
          part[i][j] = fma((VECTOR)(left[i]), right[j], part[i][j]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < TM; i++) {
#pragma unroll
      for (int j = 0; j < TN; j++) {
        sum[i][j] = part[i][j];
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  for (int i = 0; i < TM; i++) {
    const INDEX row = row0 + ly + i * LM;
    if (row >= s.m) {
      break;
    }
    for (int j = 0; j < TN; j++) {
      float lanes[VW];
#if VW == 1
      lanes[0] = sum[i][j];
#else
      JOIN(vstore, VW)(sum[i][j], 0, lanes);
#endif
      for (int lane = 0; lane < VW; lane++) {
        const INDEX column = column0 + (lx + j * LN) * VW + lane;
        if (column < s.n) {
          const INDEX place = row * s.y_row + column * s.y_column;
          float v = lanes[lane];
          if (s.accumulate) {
            v += LOAD(Y, y, place);
          }
          if (s.has_bias) {
            v += LOAD(BIAS, bias, column * s.bias_stride);
          }
          if (s.has_before) {
            STORE(BEFORE, before, place, v);
          }
          STORE(Y, y, place, JOIN(f_, ACT)(v));
        }
      }
    }
  }
}
