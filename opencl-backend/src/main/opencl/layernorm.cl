// layerNorm (arXiv:1607.06450) and rmsNorm (arXiv:1910.07467, RMS is 1) over the last axis, and their gradients.
// x, y [N, C]; weight, bias [C]; mean, rstd [N]. What is not there is not read: has_weight, has_bias, has_skip.
// ADD is 1: x, the residual stream, gets term + addend first, rounded; an item reads back only what it wrote itself.

#ifdef KERNEL_layer_norm
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void layer_norm(
    IN(TERM, term),
    IN(ADDEND, addend),
    OUT(X, x),
    IN(W, weight),
    IN(B, bias),
    OUT(Y, y),
    OUT(F32, mean),
    OUT(F32, rstd),
    const INDEX columns,
    const float epsilon,
    const int has_weight,
    const int has_bias) {
  local float scratch[GROUP];
  FROM(term);
  FROM(addend);
  FROM(x);
  FROM(weight);
  FROM(bias);
  FROM(y);
  FROM(mean);
  FROM(rstd);
  const int me = get_local_id(0);
  const INDEX group = (INDEX)get_group_id(0);
  const INDEX row = group * columns;
#if ADD
  for (INDEX i = me; i < columns; i += GROUP) {
    STORE(X, x, row + i, LOAD(TERM, term, row + i) + LOAD(ADDEND, addend, row + i));
  }
#endif
  float middle = 0;
#if !RMS
  float sum = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    sum += LOAD(X, x, row + i);
  }
  middle = group_sum(sum, scratch) / (float)columns;
  // The mean again, of what is left: a mean far from 0 is rounded coarsely.
  sum = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    sum += LOAD(X, x, row + i) - middle;
  }
  const float rest = group_sum(sum, scratch) / (float)columns;
#else
  const float rest = 0;
#endif
  float squares = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    const float d = LOAD(X, x, row + i) - middle - rest;
    squares += d * d;
  }
  const float r = 1.0f / sqrt(group_sum(squares, scratch) / (float)columns + epsilon);
  for (INDEX i = me; i < columns; i += GROUP) {
    float v = (LOAD(X, x, row + i) - middle - rest) * r;
    if (has_weight) {
      v *= LOAD(W, weight, i);
    }
    if (has_bias) {
      v += LOAD(B, bias, i);
    }
    STORE(Y, y, row + i, v);
  }
  if (me == 0) {
#if !RMS
    mean[group] = middle + rest;
#endif
    rstd[group] = r;
  }
}
#endif

#ifdef KERNEL_layer_norm_rest
// rest [N] = the mean of x - mean: what rounding left of the mean.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void layer_norm_rest(
    IN(X, x), IN(F32, mean), OUT(F32, rest), const INDEX columns) {
  local float scratch[GROUP];
  FROM(x);
  FROM(mean);
  FROM(rest);
  const int me = get_local_id(0);
  const INDEX group = (INDEX)get_group_id(0);
  const float middle = mean[group];
  float sum = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    sum += LOAD(X, x, group * columns + i) - middle;
  }
  sum = group_sum(sum, scratch);
  if (me == 0) {
    rest[group] = sum / (float)columns;
  }
}
#endif

#ifdef KERNEL_layer_norm_gradient
// With x̂ = (x - mean - rest)·rstd and g = dy·weight: dx = rstd·(g - mean(g) - x̂·mean(g·x̂)); RMS has no mean(g).
// has_skip: dx = skip + that; dx may be skip.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void layer_norm_gradient(
    IN(X, x),
    IN(W, weight),
    IN(F32, mean),
    IN(F32, rest),
    IN(F32, rstd),
    IN(DY, dy),
    IN(SKIP, skip),
    OUT(DX, dx),
    const INDEX columns,
    const int has_weight,
    const int has_skip) {
  local float scratch[GROUP];
  FROM(x);
  FROM(weight);
  FROM(mean);
  FROM(rest);
  FROM(rstd);
  FROM(dy);
  FROM(skip);
  FROM(dx);
  const int me = get_local_id(0);
  const INDEX group = (INDEX)get_group_id(0);
  const INDEX row = group * columns;
#if RMS
  const float middle = 0;
  const float left = 0;
#else
  const float middle = mean[group];
  const float left = rest[group];
#endif
  const float r = rstd[group];
  float sum = 0;
  float product = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    float g = LOAD(DY, dy, row + i);
    if (has_weight) {
      g *= LOAD(W, weight, i);
    }
    sum += g;
    product += g * ((LOAD(X, x, row + i) - middle - left) * r);
  }
#if RMS
  sum = 0;
#else
  sum = group_sum(sum, scratch) / (float)columns;
#endif
  product = group_sum(product, scratch) / (float)columns;
  for (INDEX i = me; i < columns; i += GROUP) {
    float g = LOAD(DY, dy, row + i);
    if (has_weight) {
      g *= LOAD(W, weight, i);
    }
    const float normal = (LOAD(X, x, row + i) - middle - left) * r;
    float d = r * (g - sum - normal * product);
    if (has_skip) {
      d += LOAD(SKIP, skip, row + i);
    }
    STORE(DX, dx, row + i, d);
  }
}
#endif

#ifdef KERNEL_layer_norm_weight_gradient
// Σ dy·x̂ and Σ dy over the rows of one chunk: a work-item to a column. weights, biases [chunks, C].
kernel void layer_norm_weight_gradient(
    IN(X, x),
    IN(F32, mean),
    IN(F32, rest),
    IN(F32, rstd),
    IN(DY, dy),
    OUT(F32, weights),
    OUT(F32, biases),
    const INDEX rows,
    const INDEX columns,
    const INDEX chunk) {
  FROM(x);
  FROM(mean);
  FROM(rest);
  FROM(rstd);
  FROM(dy);
  FROM(weights);
  FROM(biases);
  const INDEX column = (INDEX)get_global_id(0);
  if (column >= columns) return;
  const INDEX part = (INDEX)get_global_id(1);
  const INDEX end = min((part + 1) * chunk, rows);
  float weight = 0;
  float bias = 0;
  for (INDEX row = part * chunk; row < end; row++) {
    const float g = LOAD(DY, dy, row * columns + column);
#if RMS
    const float normal = LOAD(X, x, row * columns + column) * rstd[row];
#else
    const float normal = (LOAD(X, x, row * columns + column) - mean[row] - rest[row]) * rstd[row];
#endif
    weight += g * normal;
    bias += g;
  }
  weights[part * columns + column] = weight;
  biases[part * columns + column] = bias;
}
#endif
