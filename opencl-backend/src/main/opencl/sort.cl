// Sorting rows: a bitonic network over indices. (value, index) is a total order, so the result is the stable one.
// Source: Batcher, "Sorting networks and their applications", AFIPS 1968.
//
// order [rows, padded] starts as 0, 1, ..; padded is a power of two; an index of `columns` or more stands after all.

inline int before(
    global const STORAGE(X)* x, INDEX columns, int descending, int i, int j) {
  if (i >= columns || j >= columns) {
    return i < j;
  }
  const NUMBER(X) a = LOAD(X, x, i);
  const NUMBER(X) b = LOAD(X, x, j);
#if IS_FLOAT(X)
  const int a_nan = isnan(a);
  const int b_nan = isnan(b);
  if (a_nan || b_nan) {
    return a_nan == b_nan ? i < j : descending ? a_nan : b_nan;
  }
#endif
  if (a == b) {
    return i < j;
  }
  return descending ? a > b : a < b;
}

#ifdef KERNEL_sort_tiles
// All steps with a distance below TILE, from the stage `first` to the stage `last`; a group to a tile of TILE = 2·GROUP
// indices. With start != 0 the indices are made first.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void sort_tiles(
    IN(X, x),
    OUT(I32, order),
    const INDEX columns,
    const INDEX padded,
    const INDEX first,
    const INDEX last,
    const int start,
    const int descending) {
  local int tile[2 * GROUP];
  FROM(x);
  FROM(order);
  const int me = get_local_id(0);
  const int size = (int)min(padded, (INDEX)(2 * GROUP));
  const INDEX from = (INDEX)get_group_id(0) * size;
  x += (INDEX)get_group_id(1) * columns;
  order += (INDEX)get_group_id(1) * padded + from;
  for (int i = me; i < size; i += GROUP) {
    tile[i] = start ? (int)(from + i) : order[i];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (INDEX stage = first; stage <= last; stage *= 2) {
    for (int distance = (int)min(stage / 2, (INDEX)(size / 2)); distance > 0; distance /= 2) {
      if (me < size / 2) {
        const int low = 2 * me - (me & (distance - 1));
        const int high = low + distance;
        const int rising = ((from + low) & stage) == 0;
        const int i = tile[low];
        const int j = tile[high];
        if (before(x, columns, descending, j, i) == rising) {
          tile[low] = j;
          tile[high] = i;
        }
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
  }
  for (int i = me; i < size; i += GROUP) {
    order[i] = tile[i];
  }
}
#endif

#ifdef KERNEL_sort_step
// One step over all of a row; a work-item to a pair.
kernel void sort_step(
    IN(X, x),
    OUT(I32, order),
    const INDEX columns,
    const INDEX padded,
    const INDEX stage,
    const INDEX distance,
    const int descending) {
  FROM(x);
  FROM(order);
  const INDEX me = (INDEX)get_global_id(0);
  if (me >= padded / 2) return;
  x += (INDEX)get_global_id(1) * columns;
  order += (INDEX)get_global_id(1) * padded;
  const INDEX low = 2 * me - (me & (distance - 1));
  const INDEX high = low + distance;
  const int rising = (low & stage) == 0;
  const int i = order[low];
  const int j = order[high];
  if (before(x, columns, descending, j, i) == rising) {
    order[low] = j;
    order[high] = i;
  }
}
#endif

#ifdef KERNEL_sort_gather
// values = x[order], indices = order, without the padding.
kernel void sort_gather(
    IN(X, x),
    IN(I32, order),
    OUT(X, values),
    OUT(I32, indices),
    const INDEX columns,
    const INDEX padded) {
  FROM(x);
  FROM(order);
  FROM(values);
  FROM(indices);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= columns) return;
  const INDEX row = (INDEX)get_global_id(1);
  const int at = order[row * padded + i];
  values[row * columns + i] = x[row * columns + at];
  indices[row * columns + i] = at;
}
#endif
