// Rows of a table [V, C] by index [N], and the gradient of the table: sums of rows in rising order, without atomics.

#ifdef KERNEL_embedding
// A work-item to an element: (column, row).
kernel void embedding(
    IN(X, table),
    IN(I32, indices),
    OUT(Y, y),
    const INDEX columns,
    const INDEX size,
    global int* errors,
    const int launch) {
  FROM(table);
  FROM(indices);
  FROM(y);
  const INDEX column = (INDEX)get_global_id(0);
  if (column >= columns) return;
  const INDEX row = (INDEX)get_global_id(1);
  const int index = indices[row];
  if (index < 0 || index >= size) {
    report_index(errors, launch, row, index);
    STORE(Y, y, row * columns + column, 0.0f);
  } else {
    STORE(Y, y, row * columns + column, LOAD(X, table, (INDEX)index * columns + column));
  }
}
#endif

#ifdef KERNEL_embedding_gradient_scan
// For a small table: a group to GROUP columns of a table row looks through all indices.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void embedding_gradient_scan(
    IN(DY, dy),
    IN(I32, indices),
    OUT(DT, d_table),
    const INDEX count,
    const INDEX columns,
    const INDEX size,
    global int* errors,
    const int launch) {
  local int tile[GROUP];
  FROM(dy);
  FROM(indices);
  FROM(d_table);
  const int me = get_local_id(0);
  const INDEX row = (INDEX)get_group_id(1);
  const INDEX column = (INDEX)get_group_id(0) * GROUP + me;
  const int inside = column < columns;
  float sum = inside ? LOAD(DT, d_table, row * columns + column) : 0.0f;
  for (INDEX start = 0; start < count; start += GROUP) {
    const INDEX mine = start + me;
    const int index = mine < count ? indices[mine] : 0;
    if (row == 0 && (index < 0 || index >= size)) {
      report_index(errors, launch, mine, index);
    }
    tile[me] = index;
    barrier(CLK_LOCAL_MEM_FENCE);
    const int length = (int)min((INDEX)GROUP, count - start);
    for (int i = 0; i < length; i++) {
      if (tile[i] == row && inside) {
        sum += LOAD(DY, dy, (start + i) * columns + column);
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (inside) {
    STORE(DT, d_table, row * columns + column, sum);
  }
}
#endif

#ifdef KERNEL_embedding_gradient_runs
// For a large table: `sorted` holds the indices in order and `order` where they came from; the work-items of the first
// of a run of equals add up the run.
kernel void embedding_gradient_runs(
    IN(DY, dy),
    IN(I32, sorted),
    IN(I32, order),
    OUT(DT, d_table),
    const INDEX count,
    const INDEX columns,
    const INDEX size,
    global int* errors,
    const int launch) {
  FROM(dy);
  FROM(sorted);
  FROM(order);
  FROM(d_table);
  const INDEX column = (INDEX)get_global_id(0);
  if (column >= columns) return;
  const INDEX first = (INDEX)get_global_id(1);
  const int index = sorted[first];
  if (first > 0 && sorted[first - 1] == index) return;
  if (index < 0 || index >= size) {
    report_index(errors, launch, order[first], index);
    return;
  }
  const INDEX at = (INDEX)index * columns + column;
  float sum = LOAD(DT, d_table, at);
  for (INDEX i = first; i < count && sorted[i] == index; i++) {
    sum += LOAD(DY, dy, (INDEX)order[i] * columns + column);
  }
  STORE(DT, d_table, at, sum);
}
#endif
