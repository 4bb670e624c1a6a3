// Attention without a buffer of all scores, forward (arXiv:2205.14135) and backward (arXiv:2307.08691).
//
// B batches, H heads, queries, keys; q, k [.., D], v, y [.., E] with any strides but 1 along the last axis. A group has
// TILE rows (queries, or keys in attention_gradient_kv) and goes over the other side in tiles of TILE, through local
// memory. LANES work-items share a row: each makes every LANES-th score of it and every LANES-th element of the result.
// Tiles that causality hides are skipped.
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
#define DL ((D + LANES - 1) / LANES)
#define EL ((E + LANES - 1) / LANES)

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

// tile[i][c] = x's row `from + i`; zeros below the last row.
#define LOAD_TILE(tile, T, x, stride, from, rows, columns) \
  for (int e_ = me; e_ < TILE * (columns); e_ += ITEMS) { \
    const int i_ = e_ / (columns); \
    const int c_ = e_ - i_ * (columns); \
    tile[i_][c_] = (from) + i_ < (rows) ? LOAD(T, x, ((from) + i_) * (stride) + c_) : 0.0f; \
  }

#define DOT(sum, a, b, n) \
  float sum = 0; \
  for (int c_ = 0; c_ < (n); c_++) { \
    sum = fma((a)[c_], (b)[c_], sum); \
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
  local float ks[TILE][D + 1];
  local float vs[TILE][E + 1];
  local float ps[TILE][TILE + 1];
  GROUP_PLACE;
  HEAD(q);
  HEAD(k);
  HEAD(v);
  HEAD(y);
  FROM(mask);
  FROM(state);
  FROM(log_sum_exp);
  LOAD_TILE(qs, Q, q, s.q.row, first, s.queries, D);
  const INDEX query = first + r;
  float most = -INFINITY;
  float total = 0;
  float result[EL];
  for (int e = 0; e < EL; e++) {
    result[e] = 0;
  }
  const INDEX end = s.causal ? min(s.keys, first + TILE + s.keys - s.queries) : s.keys;
  for (INDEX k0 = 0; k0 < end; k0 += TILE) {
    LOAD_TILE(ks, K, k, s.k.row, k0, s.keys, D);
    LOAD_TILE(vs, V, v, s.v.row, k0, s.keys, E);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int j = lane; j < TILE; j += LANES) {
      float score = -INFINITY;
      if (seen(&s, mask, batch, head, query, k0 + j)) {
        DOT(sum, qs[r], ks[j], D);
        score = sum * s.scale;
      }
      ps[r][j] = score;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    float now = most;
    for (int j = 0; j < TILE; j++) {
      now = larger(now, ps[r][j]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float shift = now == -INFINITY ? 0.0f : now;
    for (int j = lane; j < TILE; j += LANES) {
      ps[r][j] = exp(ps[r][j] - shift);
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
    for (int j = 0; j < TILE; j++) {
      const float p = ps[r][j];
      for (int e = 0; e < EL; e++) {
        const int c = e * LANES + lane;
        if (c < E) {
          result[e] = fma(p, vs[j][c], result[e]);
        }
      }
    }
    most = now;
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (query < s.queries) {
    const float inverse = total == 0 ? 0.0f : 1.0f / total; // 0: the query sees no key
    for (int e = 0; e < EL; e++) {
      const int c = e * LANES + lane;
      if (c < E) {
        STORE(Y, y, query * s.y.row + c, result[e] * inverse);
      }
    }
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
  local float ks[TILE][D + 1];
  local float vs[TILE][E + 1];
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
  LOAD_TILE(qs, Q, q, s.q.row, first, s.queries, D);
  LOAD_TILE(dys, DY, dy, s.dy.row, first, s.queries, E);
  const INDEX query = first + r;
  float shift = query < s.queries ? log_sum_exp[pair * s.queries + query] : 0.0f;
  shift = shift == -INFINITY ? 0.0f : shift;
  const float row_delta = query < s.queries ? delta[pair * s.queries + query] : 0.0f;
  float result[DL];
  for (int d = 0; d < DL; d++) {
    result[d] = 0;
  }
  const INDEX end = s.causal ? min(s.keys, first + TILE + s.keys - s.queries) : s.keys;
  for (INDEX k0 = 0; k0 < end; k0 += TILE) {
    LOAD_TILE(ks, K, k, s.k.row, k0, s.keys, D);
    LOAD_TILE(vs, V, v, s.v.row, k0, s.keys, E);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int j = lane; j < TILE; j += LANES) {
      float value = 0;
      if (seen(&s, mask, batch, head, query, k0 + j)) {
        DOT(score, qs[r], ks[j], D);
        DOT(dp, dys[r], vs[j], E);
        value = exp(score * s.scale - shift) * (DROP(dp, query, k0 + j) - row_delta) * s.scale;
      }
      ds[r][j] = value;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int j = 0; j < TILE; j++) {
      const float value = ds[r][j];
      for (int d = 0; d < DL; d++) {
        const int c = d * LANES + lane;
        if (c < D) {
          result[d] = fma(value, ks[j][c], result[d]);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (query < s.queries) {
    for (int d = 0; d < DL; d++) {
      const int c = d * LANES + lane;
      if (c < D) {
        STORE(DQ, dq, query * s.dq.row + c, result[d]);
      }
    }
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
  local float qs[TILE][D + 1];
  local float dys[TILE][E + 1];
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
  LOAD_TILE(ks, K, k, s.k.row, first, s.keys, D);
  LOAD_TILE(vs, V, v, s.v.row, first, s.keys, E);
  const INDEX key = first + r;
  float k_result[DL];
  float v_result[EL];
  for (int d = 0; d < DL; d++) {
    k_result[d] = 0;
  }
  for (int e = 0; e < EL; e++) {
    v_result[e] = 0;
  }
  INDEX start = 0;
  if (s.causal) { // the first query that sees this tile's first key
    start = max(first - (s.keys - s.queries), (INDEX)0) / TILE * TILE;
  }
  for (INDEX q0 = start; q0 < s.queries; q0 += TILE) {
    LOAD_TILE(qs, Q, q, s.q.row, q0, s.queries, D);
    LOAD_TILE(dys, DY, dy, s.dy.row, q0, s.queries, E);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = lane; i < TILE; i += LANES) {
      float weight = 0;
      float value = 0;
      const INDEX query = q0 + i;
      if (seen(&s, mask, batch, head, query, key)) {
        DOT(score, qs[i], ks[r], D);
        DOT(dp, dys[i], vs[r], E);
        float shift = log_sum_exp[query];
        shift = shift == -INFINITY ? 0.0f : shift;
        const float p = exp(score * s.scale - shift);
        weight = DROP(p, query, key);
        value = p * (DROP(dp, query, key) - delta[query]) * s.scale;
      }
      ps[r][i] = weight;
      ds[r][i] = value;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < TILE; i++) {
      const float weight = ps[r][i];
      const float value = ds[r][i];
      for (int e = 0; e < EL; e++) {
        const int c = e * LANES + lane;
        if (c < E) {
          v_result[e] = fma(weight, dys[i][c], v_result[e]);
        }
      }
      for (int d = 0; d < DL; d++) {
        const int c = d * LANES + lane;
        if (c < D) {
          k_result[d] = fma(value, qs[i][c], k_result[d]);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (key < s.keys) {
    for (int d = 0; d < DL; d++) {
      const int c = d * LANES + lane;
      if (c < D) {
        STORE(DK, dk, key * s.dk.row + c, k_result[d]);
      }
    }
    for (int e = 0; e < EL; e++) {
      const int c = e * LANES + lane;
      if (c < E) {
        STORE(DV, dv, key * s.dv.row + c, v_result[e]);
      }
    }
  }
}
#endif
