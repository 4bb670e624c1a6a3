// AdamW (arXiv:1711.05101, algorithm 2) over up to 8 parameters in one launch: group number i belongs to the slot k with
// first[k] <= i < first[k + 1]. The factors are those of fornax.backend.AdamWFactors. With -D COPY=T every parameter has
// a copy of that type.
typedef struct {
  INDEX first[9];
  INDEX count[8];
} Slots;

#ifdef COPY
#define COPY_ARGUMENTS(k) , global STORAGE(COPY)* c##k, const INDEX c##k##_start
#define COPY_CASE(k) c = c##k + c##k##_start;
#else
#define COPY_ARGUMENTS(k)
#define COPY_CASE(k)
#endif

#define SLOT(k) \
  global float* p##k, const INDEX p##k##_start, global const float* g##k, const INDEX g##k##_start, \
      global float* m##k, const INDEX m##k##_start, global float* v##k, const INDEX v##k##_start \
          COPY_ARGUMENTS(k)
#define CASE(k) \
  case k: \
    p = p##k + p##k##_start; \
    g = g##k + g##k##_start; \
    m = m##k + m##k##_start; \
    v = v##k + v##k##_start; \
    COPY_CASE(k) \
    break

kernel void adamw(
    SLOT(0),
    SLOT(1),
    SLOT(2),
    SLOT(3),
    SLOT(4),
    SLOT(5),
    SLOT(6),
    SLOT(7),
    IN(F32, factors),
    IN(F32, scales),
    const Slots slots) {
  FROM(factors);
  FROM(scales);
  const INDEX group = (INDEX)get_group_id(0);
  int slot = 0;
  while (slot < 7 && group >= slots.first[slot + 1]) {
    slot++;
  }
  global float* p = p0;
  global const float* g = g0;
  global float* m = m0;
  global float* v = v0;
#ifdef COPY
  global STORAGE(COPY)* c = c0;
#endif
  switch (slot) {
    CASE(0);
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
    CASE(7);
  }
  const INDEX i = (group - slots.first[slot]) * (INDEX)get_local_size(0) + (INDEX)get_local_id(0);
  const float scale = scales[0];
  if (i >= slots.count[slot] || !isfinite(scale)) return;
  const float decay = factors[0];
  const float rest1 = factors[1];
  const float beta2 = factors[2];
  const float rest2 = factors[3];
  const float step_size = factors[4];
  const float root_correction = factors[5];
  const float epsilon = factors[6];
  const float gradient = scale * g[i];
  const float first = m[i] + rest1 * (gradient - m[i]);
  const float second = beta2 * v[i] + rest2 * (gradient * gradient);
  m[i] = first;
  v[i] = second;
  const float parameter = decay * p[i] - step_size * (first / (sqrt(second) * root_correction + epsilon));
  p[i] = parameter;
#ifdef COPY
  STORE(COPY, c, i, parameter);
#endif
}
