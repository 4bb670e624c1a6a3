// By index along one axis. An index outside the axis is reported and reads 0, or adds nothing.

#ifdef KERNEL_gather
// y[.., i, ..] = x[.., indices[.., i, ..], ..]; loops: operand 0 is x with stride 0 at the axis, 1 indices, 2 y.
kernel void gather(
    IN(X, x),
    IN(I32, indices),
    OUT(X, y),
    const Loops loops,
    const INDEX size,
    const INDEX stride,
    global int* errors,
    const int launch) {
  FROM(x);
  FROM(indices);
  FROM(y);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= loops.count) return;
  const Places p = places(&loops, 3, i);
  const int index = indices[p.at[1]];
  if (index < 0 || index >= size) {
    report_index(errors, launch, i, index);
    y[p.at[2]] = 0;
  } else {
    y[p.at[2]] = x[p.at[0] + index * stride];
  }
}
#endif

#ifdef KERNEL_scatter_add
// y[.., indices[.., i, ..], ..] += x[.., i, ..]; a work-item to a line along the axis, in rising order of i. loops runs
// over the lines: operand 0 is x, 1 indices, 2 y.
kernel void scatter_add(
    IN(X, x),
    IN(I32, indices),
    OUT(Y, y),
    const Loops loops,
    const INDEX count,
    const INDEX x_stride,
    const INDEX indices_stride,
    const INDEX y_stride,
    const INDEX size,
    const INDEX inner,
    global int* errors,
    const int launch) {
  FROM(x);
  FROM(indices);
  FROM(y);
  const INDEX line = (INDEX)get_global_id(0);
  if (line >= loops.count) return;
  const Places p = places(&loops, 3, line);
  for (INDEX i = 0; i < count; i++) {
    const int index = indices[p.at[1] + i * indices_stride];
    if (index < 0 || index >= size) {
      // The number of the element in indices, row-major: lines are (outer, inner).
      report_index(errors, launch, (line / inner * count + i) * inner + line % inner, index);
    } else {
      const INDEX at = p.at[2] + index * y_stride;
      const float sum = LOAD(Y, y, at) + LOAD(X, x, p.at[0] + i * x_stride);
      STORE(Y, y, at, sum);
    }
  }
}
#endif
