// Attention without a buffer of all scores, forward (arXiv:2205.14135) and backward (arXiv:2307.08691).
//
// B batches, H heads, queries, keys; q, k [.., D], v, y [.., E] with any strides but 1 along the last axis. A group has
// TILE rows (queries, or keys in attention_gradient_kv) and goes over the other side in tiles of TILE, through local
// memory. LANES work-items share a row: of its scores and of its elements of the result each makes every LANES-th vector
// of VW, in registers. For scores the other side's tile lies transposed, so that neighbouring scores are neighbours in a
// vector and nothing is added across one. Tiles that causality hides are skipped.
typedef struct {
  INDEX batch, head, row;
} Strides;

typedef struct {
  INDEX queries, keys, heads;
  INDEX mask_batch, mask_head, mask_query, mask_key;
  Strides q, k, v, y, dy, dq, dk, dv;
  float scale, keep_scale;
  int causal, has_mask, stream, threshold;
} Attention;

#define ITEMS (TILE * LANES)
#define VECTOR JOIN(float, VW)
#define VLOAD JOIN(vload, VW)
#define VSTORE JOIN(vstore, VW)
#define ND ((D + VW - 1) / VW) // vectors of a row
#define NE ((E + VW - 1) / VW)
#define NT (TILE / VW)
#define DL ((ND + LANES - 1) / LANES) // of which a work-item has so many
#define EL ((NE + LANES - 1) / LANES)
#define TL ((NT + LANES - 1) / LANES)

// Where the rows of this group's head begin.
#define HEAD(x) x += x##_start + (INDEX)batch * s.x.batch + (INDEX)head * s.x.head

#define GROUP_PLACE \
  const int me = get_local_id(0); \
  const int r = me / LANES; \
  const int lane = me % LANES; \
  const INDEX batch = (INDEX)get_group_id(1) / s.heads; \
  const INDEX head = (INDEX)get_group_id(1) % s.heads; \
  const INDEX pair = (INDEX)get_group_id(1); \
  const INDEX first = (INDEX)get_group_id(0) * TILE

// tile[i] = x's row `from + i`; zeros below the last row and right of the last column.
#define LOAD_TILE(tile, vectors, T, x, stride, from, rows, columns) \
  for (int e_ = me; e_ < TILE * (vectors) * VW; e_ += ITEMS) { \
    const int i_ = e_ / ((vectors) * VW); \
    const int c_ = e_ - i_ * ((vectors) * VW); \
    ((local float*)tile[i_])[c_] = (from) + i_ < (rows) && c_ < (columns) \
        ? LOAD(T, x, ((from) + i_) * (stride) + c_) \
        : 0.0f; \
  }

// tile[c] = x's column c of the rows from `from` on; zeros below the last row.
#define LOAD_TRANSPOSED(tile, T, x, stride, from, rows, columns) \
  for (int e_ = me; e_ < TILE * (columns); e_ += ITEMS) { \
    const int i_ = e_ / (columns); \
    const int c_ = e_ - i_ * (columns); \
    ((local float*)tile[c_])[i_] = \
        (from) + i_ < (rows) ? LOAD(T, x, ((from) + i_) * (stride) + c_) : 0.0f; \
  }

// The same, row by row.
#define LOAD_ROWS(tile, T, x, stride, from, rows, columns) \
  for (int e_ = me; e_ < TILE * (columns); e_ += ITEMS) { \
    const int i_ = e_ / (columns); \
    const int c_ = e_ - i_ * (columns); \
    tile[i_][c_] = (from) + i_ < (rows) ? LOAD(T, x, ((from) + i_) * (stride) + c_) : 0.0f; \
  }

// scores[t] = Σ row[c]·tile[c] for the vectors t of this work-item.
#define DOTS(scores, row, tile, columns) \
  VECTOR scores[TL]; \
  for (int t_ = 0; t_ < TL; t_++) { \
    scores[t_] = (VECTOR)(0.0f); \
  } \
  for (int c_ = 0; c_ < (columns); c_++) { \
    const VECTOR left_ = (VECTOR)((row)[c_]); \
    for (int t_ = 0; t_ < TL; t_++) { \
      scores[t_] = fma(left_, tile[c_][OWN(t_, NT)], scores[t_]); \
    } \
  }

// result[v] += Σ weights[j]·tile[j] for the vectors v of this work-item.
#define ADD_ROWS(result, own, weights, tile, vectors) \
  { \
    VECTOR part_[own]; /* for compilers that keep `result` in memory across barriers */ \
    for (int v_ = 0; v_ < (own); v_++) { \
      part_[v_] = result[v_]; \
    } \
    for (int j_ = 0; j_ < TILE; j_++) { \
      const VECTOR weight_ = (VECTOR)((weights)[j_]); \
      for (int v_ = 0; v_ < (own); v_++) { \
        part_[v_] = fma(weight_, tile[j_][OWN(v_, vectors)], part_[v_]); \
      } \
    } \
    for (int v_ = 0; v_ < (own); v_++) { \
      result[v_] = part_[v_]; \
    } \
  }

// A work-item's vector number t; the last one again where it has none.
#define OWN(t, vectors) min((t) * LANES + lane, (vectors) - 1)

#define STORE_ROW(T, y, place, result, own, columns, factor) \
  for (int v_ = 0; v_ < (own); v_++) { \
    float parts_[VW]; \
    VSTORE(result[v_], 0, parts_); \
    for (int i_ = 0; i_ < VW; i_++) { \
      const int c_ = (v_ * LANES + lane) * VW + i_; \
      if (c_ < (columns)) { \
        STORE(T, y, (place) + c_, parts_[i_] * (factor)); \
      } \
    } \
  }

inline int seen(
    const Attention* s, global const uchar* mask, INDEX batch, INDEX head, INDEX query, INDEX key) {
  if (query >= s->queries || key >= s->keys) {
    return 0;
  }
  if (s->causal && key > query + s->keys - s->queries) {
    return 0;
  }
  return !s->has_mask
      || mask[batch * s->mask_batch + head * s->mask_head + query * s->mask_query
              + key * s->mask_key];
}

// The weight after dropout: masks compare integers, by the element's place in [B, H, queries, keys].
#if DROPOUT
#define DROP(value, query, key) \
  (philox_word( \
       state, \
       s.stream, \
       ((ulong)pair * (ulong)s.queries + (ulong)(query)) * (ulong)s.keys + (ulong)(key)) \
           >= (uint)s.threshold \
       ? (value) * s.keep_scale \
       : 0.0f)
#else
#define DROP(value, query, key) (value)
#endif

#ifdef KERNEL_attention
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void attention(
    IN(Q, q),
    IN(K, k),
    IN(V, v),
    IN(BOOL, mask),
    IN(I32, state),
    OUT(Y, y),
    OUT(F32, log_sum_exp),
    const Attention s) {
  local float qs[TILE][D + 1];
  local VECTOR kt[D][NT + 1];
  local VECTOR vs[TILE][NE + 1];
  local float ps[TILE][TILE + 1];
  GROUP_PLACE;
  HEAD(q);
  HEAD(k);
  HEAD(v);
  HEAD(y);
  FROM(mask);
  FROM(state);
  FROM(log_sum_exp);
  LOAD_ROWS(qs, Q, q, s.q.row, first, s.queries, D);
  const INDEX query = first + r;
  float most = -INFINITY;
  float total = 0;
  VECTOR result[EL];
  for (int e = 0; e < EL; e++) {
    result[e] = (VECTOR)(0.0f);
  }
  const INDEX end = s.causal ? min(s.keys, first + TILE + s.keys - s.queries) : s.keys;
  for (INDEX k0 = 0; k0 < end; k0 += TILE) {
    LOAD_TRANSPOSED(kt, K, k, s.k.row, k0, s.keys, D);
    LOAD_TILE(vs, NE, V, v, s.v.row, k0, s.keys, E);
    barrier(CLK_LOCAL_MEM_FENCE);
    {
      DOTS(scores, qs[r], kt, D);
      for (int t = 0; t < TL; t++) {
        if (t * LANES + lane < NT) {
          float parts[VW];
          VSTORE(scores[t] * s.scale, 0, parts);
          const int from = (t * LANES + lane) * VW;
          for (int i = 0; i < VW; i++) {
            ps[r][from + i] =
                seen(&s, mask, batch, head, query, k0 + from + i) ? parts[i] : -INFINITY;
          }
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float now = most;
    for (int j = 0; j < TILE; j++) {
      now = larger(now, ps[r][j]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float shift = now == -INFINITY ? 0.0f : now;
    for (int t = lane; t < NT; t += LANES) {
      VSTORE(exp(VLOAD(t, ps[r]) - shift), t, ps[r]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float sum = 0;
    for (int j = 0; j < TILE; j++) {
      sum += ps[r][j];
    }
    const float fade = exp(most - shift);
    total = total * fade + sum;
#if DROPOUT
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int j = lane; j < TILE; j += LANES) {
      ps[r][j] = DROP(ps[r][j], query, k0 + j);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
    for (int e = 0; e < EL; e++) {
      result[e] *= fade;
    }
    ADD_ROWS(result, EL, ps[r], vs, NE);
    most = now;
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (query < s.queries) {
    const float inverse = total == 0 ? 0.0f : 1.0f / total; // 0: the query sees no key
    STORE_ROW(Y, y, query * s.y.row, result, EL, E, inverse);
    if (lane == 0) {
      log_sum_exp[pair * s.queries + query] = total == 0 ? -INFINITY : log(total) + most;
    }
  }
}
#endif

#ifdef KERNEL_attention_delta
// delta [B, H, queries] = Σ dy·y: a work-item to a query.
kernel void attention_delta(IN(Y, y), IN(DY, dy), OUT(F32, delta), const Attention s) {
  const INDEX query = (INDEX)get_global_id(0);
  if (query >= s.queries) return;
  const INDEX pair = (INDEX)get_global_id(1);
  const INDEX batch = pair / s.heads;
  const INDEX head = pair % s.heads;
  HEAD(y);
  HEAD(dy);
  FROM(delta);
  float sum = 0;
  for (int c = 0; c < E; c++) {
    sum = fma(LOAD(Y, y, query * s.y.row + c), LOAD(DY, dy, query * s.dy.row + c), sum);
  }
  delta[pair * s.queries + query] = sum;
}
#endif

#ifdef KERNEL_attention_gradient_q
// dq = scale·ds·k with ds = p·(dp - delta): a row is a query.
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void attention_gradient_q(
    IN(Q, q),
    IN(K, k),
    IN(V, v),
    IN(BOOL, mask),
    IN(I32, state),
    IN(DY, dy),
    IN(F32, log_sum_exp),
    IN(F32, delta),
    OUT(DQ, dq),
    const Attention s) {
  local float qs[TILE][D + 1];
  local float dys[TILE][E + 1];
  local VECTOR kt[D][NT + 1];
  local VECTOR vt[E][NT + 1];
  local VECTOR ks[TILE][ND + 1];
  local float ds[TILE][TILE + 1];
  GROUP_PLACE;
  HEAD(q);
  HEAD(k);
  HEAD(v);
  HEAD(dy);
  HEAD(dq);
  FROM(mask);
  FROM(state);
  FROM(log_sum_exp);
  FROM(delta);
  LOAD_ROWS(qs, Q, q, s.q.row, first, s.queries, D);
  LOAD_ROWS(dys, DY, dy, s.dy.row, first, s.queries, E);
  const INDEX query = first + r;
  float shift = query < s.queries ? log_sum_exp[pair * s.queries + query] : 0.0f;
  shift = shift == -INFINITY ? 0.0f : shift;
  const float row_delta = query < s.queries ? delta[pair * s.queries + query] : 0.0f;
  VECTOR result[DL];
  for (int d = 0; d < DL; d++) {
    result[d] = (VECTOR)(0.0f);
  }
  const INDEX end = s.causal ? min(s.keys, first + TILE + s.keys - s.queries) : s.keys;
  for (INDEX k0 = 0; k0 < end; k0 += TILE) {
    LOAD_TRANSPOSED(kt, K, k, s.k.row, k0, s.keys, D);
    LOAD_TRANSPOSED(vt, V, v, s.v.row, k0, s.keys, E);
    LOAD_TILE(ks, ND, K, k, s.k.row, k0, s.keys, D);
    barrier(CLK_LOCAL_MEM_FENCE);
    {
      DOTS(scores, qs[r], kt, D);
      DOTS(dps, dys[r], vt, E);
      for (int t = 0; t < TL; t++) {
        if (t * LANES + lane < NT) {
          float p[VW];
          float dp[VW];
          VSTORE(exp(scores[t] * s.scale - shift), 0, p);
          VSTORE(dps[t], 0, dp);
          const int from = (t * LANES + lane) * VW;
          for (int i = 0; i < VW; i++) {
            const INDEX key = k0 + from + i;
            ds[r][from + i] = seen(&s, mask, batch, head, query, key)
                ? p[i] * (DROP(dp[i], query, key) - row_delta) * s.scale
                : 0.0f;
          }
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    ADD_ROWS(result, DL, ds[r], ks, ND);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (query < s.queries) {
    STORE_ROW(DQ, dq, query * s.dq.row, result, DL, D, 1.0f);
  }
}
#endif

#ifdef KERNEL_attention_gradient_kv
// dv = p̃ᵀ·dy and dk = scale·dsᵀ·q: a row is a key.
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void attention_gradient_kv(
    IN(Q, q),
    IN(K, k),
    IN(V, v),
    IN(BOOL, mask),
    IN(I32, state),
    IN(DY, dy),
    IN(F32, log_sum_exp),
    IN(F32, delta),
    OUT(DK, dk),
    OUT(DV, dv),
    const Attention s) {
  local float ks[TILE][D + 1];
  local float vs[TILE][E + 1];
  local VECTOR qt[D][NT + 1];
  local VECTOR dyt[E][NT + 1];
  local VECTOR qs[TILE][ND + 1];
  local VECTOR dys[TILE][NE + 1];
  local float ps[TILE][TILE + 1];
  local float ds[TILE][TILE + 1];
  GROUP_PLACE;
  HEAD(q);
  HEAD(k);
  HEAD(v);
  HEAD(dy);
  HEAD(dk);
  HEAD(dv);
  FROM(mask);
  FROM(state);
  FROM(log_sum_exp);
  FROM(delta);
  log_sum_exp += pair * s.queries;
  delta += pair * s.queries;
  LOAD_ROWS(ks, K, k, s.k.row, first, s.keys, D);
  LOAD_ROWS(vs, V, v, s.v.row, first, s.keys, E);
  const INDEX key = first + r;
  VECTOR k_result[DL];
  VECTOR v_result[EL];
  for (int d = 0; d < DL; d++) {
    k_result[d] = (VECTOR)(0.0f);
  }
  for (int e = 0; e < EL; e++) {
    v_result[e] = (VECTOR)(0.0f);
  }
  INDEX start = 0;
  if (s.causal) { // the first query that sees this tile's first key
    start = max(first - (s.keys - s.queries), (INDEX)0) / TILE * TILE;
  }
  for (INDEX q0 = start; q0 < s.queries; q0 += TILE) {
    LOAD_TRANSPOSED(qt, Q, q, s.q.row, q0, s.queries, D);
    LOAD_TRANSPOSED(dyt, DY, dy, s.dy.row, q0, s.queries, E);
    LOAD_TILE(qs, ND, Q, q, s.q.row, q0, s.queries, D);
    LOAD_TILE(dys, NE, DY, dy, s.dy.row, q0, s.queries, E);
    barrier(CLK_LOCAL_MEM_FENCE);
    {
      DOTS(scores, ks[r], qt, D);
      DOTS(dps, vs[r], dyt, E);
      for (int t = 0; t < TL; t++) {
        if (t * LANES + lane < NT) {
          float p[VW];
          float dp[VW];
          float shifts[VW];
          const int from = (t * LANES + lane) * VW;
          for (int i = 0; i < VW; i++) {
            const INDEX query = q0 + from + i;
            const float shift = query < s.queries ? log_sum_exp[query] : 0.0f;
            shifts[i] = shift == -INFINITY ? 0.0f : shift;
          }
          VSTORE(exp(scores[t] * s.scale - VLOAD(0, shifts)), 0, p);
          VSTORE(dps[t], 0, dp);
          for (int i = 0; i < VW; i++) {
            const INDEX query = q0 + from + i;
            const int is_seen = seen(&s, mask, batch, head, query, key);
            ps[r][from + i] = is_seen ? DROP(p[i], query, key) : 0.0f;
            ds[r][from + i] =
                is_seen ? p[i] * (DROP(dp[i], query, key) - delta[query]) * s.scale : 0.0f;
          }
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    ADD_ROWS(v_result, EL, ps[r], dys, NE);
    ADD_ROWS(k_result, DL, ds[r], qs, ND);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (key < s.keys) {
    STORE_ROW(DK, dk, key * s.dk.row, k_result, DL, D, 1.0f);
    STORE_ROW(DV, dv, key * s.dv.row, v_result, EL, E, 1.0f);
  }
}
#endif
