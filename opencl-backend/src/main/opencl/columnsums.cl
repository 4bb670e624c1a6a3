// Sums over the rows of a matrix [N, C], in two steps of fixed order: the rows of a chunk, then the chunks.

#ifdef KERNEL_bias_activation_gradient
// d = dy·f′(before), kept in dBefore where ACT is a function; partial [chunks, C] = Σ d over the rows of a chunk. A
// work-item to a column of a chunk.
kernel void bias_activation_gradient(
    IN(BEFORE, before),
    IN(Y, y),
    IN(DY, dy),
    OUT(D, d_before),
    OUT(F32, partial),
    const INDEX rows,
    const INDEX columns,
    const INDEX chunk,
    const int has_partial) {
  FROM(before);
  FROM(y);
  FROM(dy);
  FROM(d_before);
  FROM(partial);
  const INDEX column = (INDEX)get_global_id(0);
  if (column >= columns) return;
  const INDEX part = (INDEX)get_global_id(1);
  const INDEX end = min((part + 1) * chunk, rows);
  float sum = 0;
  for (INDEX row = part * chunk; row < end; row++) {
    const INDEX at = row * columns + column;
    float d = LOAD(DY, dy, at);
#ifdef ACT
    d *= JOIN(d_, ACT)(LOAD(BEFORE, before, at), LOAD(Y, y, at));
    STORE(D, d_before, at, d);
#endif
    sum += d;
  }
  if (has_partial) {
    partial[part * columns + column] = sum;
  }
}
#endif

#ifdef KERNEL_finish
// y (+)= the sum of the chunks.
kernel void finish(
    IN(F32, partial),
    OUT(Y, y),
    const INDEX chunks,
    const INDEX columns,
    const int accumulate) {
  FROM(partial);
  FROM(y);
  const INDEX column = (INDEX)get_global_id(0);
  if (column >= columns) return;
  float sum = 0;
  for (INDEX part = 0; part < chunks; part++) {
    sum += partial[part * columns + column];
  }
  if (accumulate) {
    sum += LOAD(Y, y, column);
  }
  STORE(Y, y, column, sum);
}
#endif
