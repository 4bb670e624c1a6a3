// Cumulative sums: a work-item to a row, one element after another, so that sums of weights that are not negative
// never fall.
kernel void cumulative_sum(
    IN(X, x),
    OUT(Y, y),
    const Loops kept,
    const INDEX columns,
    const INDEX x_stride,
    const INDEX y_stride) {
  FROM(x);
  FROM(y);
  const INDEX row = (INDEX)get_global_id(0);
  if (row >= kept.count) return;
  const Places at = places(&kept, 2, row);
  x += at.at[0];
  y += at.at[1];
#if IS_FLOAT(X)
  float sum = 0;
#else
  uint sum = 0;
#endif
  for (INDEX i = 0; i < columns; i++) {
    sum += LOAD(X, x, i * x_stride);
    STORE(Y, y, i * y_stride, sum);
  }
}
