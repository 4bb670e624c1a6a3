// Cross entropy of rows of logits x [N, C] with targets [N], and its gradient: a group to a row.

#ifdef KERNEL_cross_entropy
// loss = logSumExp - (1 - s)·x[target] - s·mean(x); 0 where the target is the ignored index.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void cross_entropy(
    IN(X, x),
    IN(I32, targets),
    OUT(F32, losses),
    OUT(F32, log_sum_exp),
    const INDEX columns,
    const int ignore,
    const float smoothing,
    global int* errors,
    const int launch) {
  local float scratch[GROUP];
  FROM(x);
  FROM(targets);
  FROM(losses);
  FROM(log_sum_exp);
  const int me = get_local_id(0);
  const INDEX row = (INDEX)get_group_id(0);
  x += row * columns;
  float most = -INFINITY;
  float total = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    const float v = LOAD(X, x, i);
    most = larger(most, v);
    total += v;
  }
  most = group_max(most, scratch);
  total = group_sum(total, scratch);
  float sum = 0;
  for (INDEX i = me; i < columns; i += GROUP) {
    sum += exp(LOAD(X, x, i) - most);
  }
  sum = group_sum(sum, scratch);
  if (me == 0) {
    const float log_sum = log(sum) + most;
    log_sum_exp[row] = log_sum;
    const int target = targets[row];
    float loss = 0;
    if (target != ignore) {
      if (target < 0 || target >= columns) {
        report_index(errors, launch, row, target);
      } else {
        loss = log_sum - (1.0f - smoothing) * LOAD(X, x, target);
        if (smoothing != 0) {
          loss -= smoothing * (total / (float)columns);
        }
      }
    }
    losses[row] = loss;
  }
}
#endif

#ifdef KERNEL_cross_entropy_gradient
// dx = (exp(x - logSumExp) - (1 - s)·[i = target] - s/C)·dLoss, 0 for ignored rows. dx may be x.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void cross_entropy_gradient(
    IN(X, x),
    IN(I32, targets),
    IN(F32, log_sum_exp),
    IN(DL, d_losses),
    OUT(DX, dx),
    const INDEX columns,
    const INDEX d_losses_stride,
    const int ignore,
    const float smoothing) {
  FROM(x);
  FROM(targets);
  FROM(log_sum_exp);
  FROM(d_losses);
  FROM(dx);
  const int me = get_local_id(0);
  const INDEX row = (INDEX)get_group_id(0);
  x += row * columns;
  dx += row * columns;
  const int target = targets[row];
  const float scale = target == ignore ? 0.0f : LOAD(DL, d_losses, row * d_losses_stride);
  const float log_sum = log_sum_exp[row];
  const float even = smoothing / (float)columns;
  for (INDEX i = me; i < columns; i += GROUP) {
    float p = exp(LOAD(X, x, i) - log_sum);
    if (i == target) {
      p -= 1.0f - smoothing;
    }
    STORE(DX, dx, i, (p - even) * scale);
  }
}
#endif
