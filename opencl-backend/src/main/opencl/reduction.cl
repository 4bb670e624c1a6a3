// Reductions over axes, and the index of the largest.
//
// The outputs are numbered by the loop `kept` (operand 0: x, 1: y), the elements that go into one output by the loop
// `reduced` (operand 0: x). An output's elements are cut into chunks of fixed length; each chunk gives one partial
// result, and partial results are reduced again until one is left. Work-items add at most RUN elements one after
// another, then a tree: the error is that of pairwise summation, and the order depends on the shape only.

#define IDENTITY_FLOAT_SUM 0.0f
#define IDENTITY_FLOAT_MAX (-INFINITY)
#define IDENTITY_FLOAT_MIN INFINITY
#define IDENTITY_INT_SUM 0
#define IDENTITY_INT_MAX INT_MIN
#define IDENTITY_INT_MIN INT_MAX
#define COMBINE_FLOAT_SUM(a, b) ((a) + (b))
#define COMBINE_FLOAT_MAX(a, b) larger(a, b)
#define COMBINE_FLOAT_MIN(a, b) smaller(a, b)
#define COMBINE_INT_SUM(a, b) (int)((uint)(a) + (uint)(b))
#define COMBINE_INT_MAX(a, b) max(a, b)
#define COMBINE_INT_MIN(a, b) min(a, b)
#if IS_FLOAT(X)
#define IDENTITY JOIN(IDENTITY_FLOAT_, OP)
#define COMBINE(a, b) JOIN(COMBINE_FLOAT_, OP)(a, b)
#else
#define IDENTITY JOIN(IDENTITY_INT_, OP)
#define COMBINE(a, b) JOIN(COMBINE_INT_, OP)(a, b)
#endif

#ifdef KERNEL_reduce_rows
// A group to a chunk: group (output, chunk). For outputs whose elements lie side by side.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void reduce_rows(
    IN(X, x),
    OUT(Y, y),
    const Loops kept,
    const Loops reduced,
    const INDEX chunk,
    const INDEX y_chunk_stride) {
  local NUMBER(X) scratch[GROUP];
  FROM(x);
  FROM(y);
  const int me = get_local_id(0);
  const Places out = places(&kept, 2, (INDEX)get_group_id(0));
  const INDEX first = (INDEX)get_group_id(1) * chunk;
  const INDEX end = min(first + chunk, reduced.count);
  NUMBER(X) sum = IDENTITY;
  for (INDEX i = first + me; i < end; i += GROUP) {
#ifdef FLAT
    const INDEX at = i * reduced.stride[0][0];
#else
    const INDEX at = places(&reduced, 1, i).at[0];
#endif
    const NUMBER(X) value = LOAD(X, x, out.at[0] + at);
    sum = COMBINE(sum, value);
  }
  scratch[me] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_ = GROUP / 2; half_ > 0; half_ >>= 1) {
    if (me < half_) {
      scratch[me] = COMBINE(scratch[me], scratch[me + half_]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (me == 0) {
    STORE(Y, y, out.at[1] + (INDEX)get_group_id(1) * y_chunk_stride, scratch[0]);
  }
}
#endif

#ifdef KERNEL_reduce_columns
// A work-item to a chunk: item (output, chunk). For outputs that lie side by side.
kernel void reduce_columns(
    IN(X, x),
    OUT(Y, y),
    const Loops kept,
    const Loops reduced,
    const INDEX chunk,
    const INDEX y_chunk_stride) {
  FROM(x);
  FROM(y);
  const INDEX output = (INDEX)get_global_id(0);
  if (output >= kept.count) return;
  const Places out = places(&kept, 2, output);
  const INDEX first = (INDEX)get_global_id(1) * chunk;
  const INDEX end = min(first + chunk, reduced.count);
  NUMBER(X) sum = IDENTITY;
  for (INDEX i = first; i < end; i++) {
#ifdef FLAT
    const INDEX at = i * reduced.stride[0][0];
#else
    const INDEX at = places(&reduced, 1, i).at[0];
#endif
    const NUMBER(X) value = LOAD(X, x, out.at[0] + at);
    sum = COMBINE(sum, value);
  }
  STORE(Y, y, out.at[1] + (INDEX)get_global_id(1) * y_chunk_stride, sum);
}
#endif

#ifdef KERNEL_argmax
// A group to a row: the first largest element, NaN above all.
inline int above(NUMBER(X) a, INDEX i, NUMBER(X) b, INDEX j) {
#if IS_FLOAT(X)
  if (isnan(a) || isnan(b)) {
    return isnan(a) && (!isnan(b) || i < j);
  }
#endif
  return a > b || (a == b && i < j);
}

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void argmax(
    IN(X, x), OUT(I32, y), const Loops kept, const INDEX columns, const INDEX stride) {
  local NUMBER(X) values[GROUP];
  local INDEX indices[GROUP];
  FROM(x);
  FROM(y);
  const int me = get_local_id(0);
  const Places out = places(&kept, 2, (INDEX)get_group_id(0));
  x += out.at[0];
  INDEX best = min((INDEX)me, columns - 1);
  NUMBER(X) most = LOAD(X, x, best * stride);
  for (INDEX i = me + GROUP; i < columns; i += GROUP) {
    const NUMBER(X) value = LOAD(X, x, i * stride);
    if (above(value, i, most, best)) {
      most = value;
      best = i;
    }
  }
  values[me] = most;
  indices[me] = best;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_ = GROUP / 2; half_ > 0; half_ >>= 1) {
    if (me < half_ && above(values[me + half_], indices[me + half_], values[me], indices[me])) {
      values[me] = values[me + half_];
      indices[me] = indices[me + half_];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (me == 0) {
    y[out.at[1]] = (int)indices[0];
  }
}
#endif
