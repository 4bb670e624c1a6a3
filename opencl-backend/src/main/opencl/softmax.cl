// Softmax and its logarithm along one axis, and their gradients. Source: arXiv:1805.02867, algorithm 2.
// LOG is 1 for the logarithm.

#if defined(KERNEL_softmax_rows)
// The axis is the last: a group to a row.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void softmax_rows(
    IN(X, x), OUT(Y, y), const INDEX columns) {
  local float scratch[GROUP];
  FROM(x);
  FROM(y);
  const int me = get_local_id(0);
  const INDEX row = (INDEX)get_group_id(0) * columns;
  float most = -INFINITY;
  for (INDEX i = me; i < columns; i += GROUP) {
    most = larger(most, LOAD(X, x, row + i));
  }
  most = group_max(most, scratch);
  float sum = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    sum += exp(LOAD(X, x, row + i) - most);
  }
  sum = group_sum(sum, scratch);
#if LOG
  const float shift = log(sum);
#else
  const float scale = 1.0f / sum;
#endif
  for (INDEX i = me; i < columns; i += GROUP) {
    const float d = LOAD(X, x, row + i) - most;
#if LOG
    STORE(Y, y, row + i, d - shift);
#else
    STORE(Y, y, row + i, exp(d) * scale);
#endif
  }
}
#endif

#if defined(KERNEL_softmax_lines)
// Another axis: a work-item to a line, whose elements are `stride` apart.
kernel void softmax_lines(
    IN(X, x), OUT(Y, y), const INDEX lines, const INDEX columns, const INDEX stride) {
  FROM(x);
  FROM(y);
  const INDEX line = (INDEX)get_global_id(0);
  if (line >= lines) return;
  const INDEX start = line / stride * stride * columns + line % stride;
  float most = -INFINITY;
  for (INDEX i = 0; i < columns; i++) {
    most = larger(most, LOAD(X, x, start + i * stride));
  }
  float sum = 0;
  for (INDEX i = 0; i < columns; i++) {
    sum += exp(LOAD(X, x, start + i * stride) - most);
  }
#if LOG
  const float shift = log(sum);
#else
  const float scale = 1.0f / sum;
#endif
  for (INDEX i = 0; i < columns; i++) {
    const float d = LOAD(X, x, start + i * stride) - most;
#if LOG
    STORE(Y, y, start + i * stride, d - shift);
#else
    STORE(Y, y, start + i * stride, exp(d) * scale);
#endif
  }
}
#endif

// dx = y·(dy - Σ dy·y), or dy - exp(y)·Σ dy.
#if LOG
#define TERM(y, dy) (dy)
#define GRADIENT(y, dy, sum) ((dy) - exp(y) * (sum))
#else
#define TERM(y, dy) ((dy) * (y))
#define GRADIENT(y, dy, sum) ((y) * ((dy) - (sum)))
#endif

#if defined(KERNEL_softmax_gradient_rows)
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void softmax_gradient_rows(
    IN(Y, y), IN(DY, dy), OUT(DX, dx), const INDEX columns) {
  local float scratch[GROUP];
  FROM(y);
  FROM(dy);
  FROM(dx);
  const int me = get_local_id(0);
  const INDEX row = (INDEX)get_group_id(0) * columns;
  float sum = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    sum += TERM(LOAD(Y, y, row + i), LOAD(DY, dy, row + i));
  }
  sum = group_sum(sum, scratch);
  for (INDEX i = me; i < columns; i += GROUP) {
    STORE(DX, dx, row + i, GRADIENT(LOAD(Y, y, row + i), LOAD(DY, dy, row + i), sum));
  }
}
#endif

#if defined(KERNEL_softmax_gradient_lines)
kernel void softmax_gradient_lines(
    IN(Y, y),
    IN(DY, dy),
    OUT(DX, dx),
    const INDEX lines,
    const INDEX columns,
    const INDEX stride) {
  FROM(y);
  FROM(dy);
  FROM(dx);
  const INDEX line = (INDEX)get_global_id(0);
  if (line >= lines) return;
  const INDEX start = line / stride * stride * columns + line % stride;
  float sum = 0;
  for (INDEX i = 0; i < columns; i++) {
    const INDEX at = start + i * stride;
    sum += TERM(LOAD(Y, y, at), LOAD(DY, dy, at));
  }
  for (INDEX i = 0; i < columns; i++) {
    const INDEX at = start + i * stride;
    STORE(DX, dx, at, GRADIENT(LOAD(Y, y, at), LOAD(DY, dy, at), sum));
  }
}
#endif
