// The norm over many arrays, and the factor that clips by it.

#ifdef KERNEL_squares
// Σ x² of chunks of up to 8 arrays of one type: group number i belongs to the array k with first[k] <= i < first[k + 1],
// and writes partial[i].
typedef struct {
  INDEX first[9];
  INDEX count[8];
} Slots;

#define CASE(k) \
  case k: \
    x = x##k + x##k##_start; \
    break

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void squares(
    IN(X, x0),
    IN(X, x1),
    IN(X, x2),
    IN(X, x3),
    IN(X, x4),
    IN(X, x5),
    IN(X, x6),
    IN(X, x7),
    OUT(F32, partial),
    const INDEX chunk,
    const Slots slots) {
  local float scratch[GROUP];
  FROM(partial);
  const int me = get_local_id(0);
  const INDEX group = (INDEX)get_group_id(0);
  int slot = 0;
  while (slot < 7 && group >= slots.first[slot + 1]) {
    slot++;
  }
  global const STORAGE(X)* x = x0;
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
  const INDEX start = (group - slots.first[slot]) * chunk;
  const INDEX end = min(start + chunk, slots.count[slot]);
  float sum = 0;
  for (INDEX i = start + me; i < end; i += GROUP) {
    const float value = LOAD(X, x, i);
    sum += value * value;
  }
  sum = group_sum(sum, scratch);
  if (me == 0) {
    partial[group] = sum;
  }
}
#endif

#ifdef KERNEL_finish
// y = √Σ partial: one group.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void finish(
    IN(F32, partial), OUT(F32, y), const INDEX count) {
  local float scratch[GROUP];
  FROM(partial);
  FROM(y);
  const int me = get_local_id(0);
  float sum = 0;
  for (INDEX i = me; i < count; i += GROUP) {
    sum += partial[i];
  }
  sum = group_sum(sum, scratch);
  if (me == 0) {
    y[0] = sqrt(sum);
  }
}
#endif

#ifdef KERNEL_clip_scale
// y = min(1, most / (norm + 1e-6)), NaN where norm is not finite. Source: arXiv:1211.5063 §3.2, with PyTorch's 1e-6.
kernel void clip_scale(IN(F32, norm), const float most, OUT(F32, y)) {
  FROM(norm);
  FROM(y);
  const float n = norm[0];
  y[0] = isfinite(n) ? fmin(1.0f, most / (n + 1e-6f)) : NAN;
}
#endif
