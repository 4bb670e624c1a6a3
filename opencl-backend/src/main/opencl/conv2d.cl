// What filters see of images, as columns [N, C, h, w, H', W'] of matrices, and back: x [N, C, H, W].
#define FILTER                                                                                            \
  const INDEX channels, const INDEX height, const INDEX width, const int filter_height,                   \
      const int filter_width, const INDEX out_height, const INDEX out_width, const int stride_y,          \
      const int stride_x, const int padding_y, const int padding_x, const int dilation_y,                 \
      const int dilation_x

#ifdef KERNEL_unfold2d
// A work-item to an element of the columns, of which image_stride and depth_stride are the strides of N and of
// (C, h, w).
kernel void unfold2d(
    IN(X, x),
    OUT(Y, columns),
    const INDEX elements,
    const INDEX image_stride,
    const INDEX depth_stride,
    FILTER) {
  FROM(x);
  FROM(columns);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= elements) return;
  const INDEX positions = out_height * out_width;
  const INDEX position = i % positions;
  const INDEX depth = channels * filter_height * filter_width;
  const INDEX k = i / positions % depth;
  const INDEX image = i / positions / depth;
  const INDEX channel = k / (filter_height * filter_width);
  const INDEX row =
      position / out_width * stride_y + k / filter_width % filter_height * dilation_y - padding_y;
  const INDEX column = position % out_width * stride_x + k % filter_width * dilation_x - padding_x;
  const int inside = row >= 0 && row < height && column >= 0 && column < width;
  const float value =
      inside ? LOAD(X, x, ((image * channels + channel) * height + row) * width + column) : 0.0f;
  STORE(Y, columns, image * image_stride + k * depth_stride + position, value);
}
#endif

#ifdef KERNEL_fold2d
// A work-item to an element of the images, which adds up in the order of the filter's elements.
kernel void fold2d(IN(X, columns), OUT(Y, x), const INDEX elements, FILTER) {
  FROM(columns);
  FROM(x);
  const INDEX i = (INDEX)get_global_id(0);
  if (i >= elements) return;
  const INDEX row = i / width % height + padding_y;
  const INDEX column = i % width + padding_x;
  const INDEX plane = i / (height * width); // image and channel
  float sum = 0.0f;
  for (int r = 0; r < filter_height; r++) {
    const INDEX y = (row - r * dilation_y) / stride_y;
    if (row < r * dilation_y || y * stride_y != row - r * dilation_y || y >= out_height) continue;
    for (int s = 0; s < filter_width; s++) {
      const INDEX x_ = (column - s * dilation_x) / stride_x;
      if (column < s * dilation_x || x_ * stride_x != column - s * dilation_x || x_ >= out_width) {
        continue;
      }
      const INDEX k = (plane * filter_height + r) * filter_width + s;
      sum += LOAD(X, columns, (k * out_height + y) * out_width + x_);
    }
  }
  STORE(Y, x, i, sum);
}
#endif
