// The largest element or the mean of windows of images: x [N, C, H, W] -> y, places [N, C, H', W']. A work-item to an
// element of the result; a gradient is added up in the order of the windows.
#define WINDOW                                                                                            \
  const INDEX height, const INDEX width, const INDEX out_height, const INDEX out_width,                   \
      const int window_height, const int window_width, const int stride_y, const int stride_x,            \
      const int padding_y, const int padding_x

#if defined(KERNEL_max_pool2d) || defined(KERNEL_avg_pool2d)
#ifdef KERNEL_max_pool2d
kernel void max_pool2d(IN(X, x), OUT(Y, y), OUT(I32, places), const INDEX elements, WINDOW) {
  FROM(places);
#else
kernel void avg_pool2d(IN(X, x), OUT(Y, y), const INDEX elements, WINDOW) {
#endif
  FROM(x);
  FROM(y);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= elements) return;
  const INDEX plane = i / (out_height * out_width) * height * width;
  const INDEX top = i / out_width % out_height * stride_y - padding_y;
  const INDEX left = i % out_width * stride_x - padding_x;
  const INDEX first_row = max(top, (INDEX)0);
  const INDEX first_column = max(left, (INDEX)0);
  const INDEX end_row = min(top + window_height, height);
  const INDEX end_column = min(left + window_width, width);
#ifdef KERNEL_max_pool2d
  float value = LOAD(X, x, plane + first_row * width + first_column);
  INDEX place = (first_row - top) * window_width + first_column - left;
#else
  float value = 0.0f;
#endif
  for (INDEX row = first_row; row < end_row; row++) {
    for (INDEX column = first_column; column < end_column; column++) {
      const float next = LOAD(X, x, plane + row * width + column);
#ifdef KERNEL_max_pool2d
      if (next > value || (next != next && value == value)) {
        value = next;
        place = (row - top) * window_width + column - left;
      }
#else
      value += next;
#endif
    }
  }
#ifdef KERNEL_max_pool2d
  STORE(Y, y, i, value);
  places[i] = (int)place;
#else
  STORE(Y, y, i, value * (1.0f / (float)(window_height * window_width)));
#endif
}
#endif

#if defined(KERNEL_max_pool2d_gradient) || defined(KERNEL_avg_pool2d_gradient)
#ifdef KERNEL_max_pool2d_gradient
kernel void max_pool2d_gradient(
    IN(I32, places), IN(DY, dy), OUT(DX, dx), const INDEX elements, WINDOW) {
  FROM(places);
#else
kernel void avg_pool2d_gradient(IN(DY, dy), OUT(DX, dx), const INDEX elements, WINDOW) {
#endif
  FROM(dy);
  FROM(dx);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= elements) return;
  const INDEX plane = i / (height * width) * out_height * out_width;
  const INDEX row = i / width % height + padding_y;
  const INDEX column = i % width + padding_x;
  // Windows that begin at most a window's size before.
  const INDEX first_y = row < window_height ? 0 : (row - window_height) / stride_y + 1;
  const INDEX first_x = column < window_width ? 0 : (column - window_width) / stride_x + 1;
  const INDEX end_y = min(row / stride_y + 1, out_height);
  const INDEX end_x = min(column / stride_x + 1, out_width);
  float sum = 0.0f;
  for (INDEX y = first_y; y < end_y; y++) {
    for (INDEX x = first_x; x < end_x; x++) {
      const INDEX at = plane + y * out_width + x;
#ifdef KERNEL_max_pool2d_gradient
      const INDEX place = (row - y * stride_y) * window_width + column - x * stride_x;
      sum += places[at] == place ? LOAD(DY, dy, at) : 0.0f;
#else
      sum += LOAD(DY, dy, at);
#endif
    }
  }
#ifdef KERNEL_avg_pool2d_gradient
  sum *= 1.0f / (float)(window_height * window_width);
#endif
  STORE(DX, dx, i, sum);
}
#endif
