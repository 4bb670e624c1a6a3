// What filters see of images, as columns [N, C, h, w, H', W'] of matrices, and back: x [N, C, H, W].
#include "fornax.cuh"

struct Filter {
  int channels, height, width;  // of x
  int filterHeight, filterWidth;
  int outHeight, outWidth;
  int strideY, strideX;
  int paddingY, paddingX;
  int dilationY, dilationX;
};

// A thread to an element of the columns, of which imageStride and depthStride are the strides of N
// and of (C, h, w).
extern "C" __global__ void __launch_bounds__(256) unfold2d(
    const void* x, int xType, void* columns, int columnsType, i64 elements, i64 imageStride,
    i64 depthStride, Filter f) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= elements) {
    return;
  }
  i64 positions = (i64)f.outHeight * f.outWidth;
  int depth = f.channels * f.filterHeight * f.filterWidth;
  i64 position = i % positions;
  int k = (int)(i / positions % depth);
  i64 image = i / positions / depth;
  int channel = k / (f.filterHeight * f.filterWidth);
  int line = k / f.filterWidth % f.filterHeight;
  int row = (int)(position / f.outWidth) * f.strideY + line * f.dilationY - f.paddingY;
  int column = (int)(position % f.outWidth) * f.strideX + k % f.filterWidth * f.dilationX - f.paddingX;
  float value = 0;
  if (row >= 0 && row < f.height && column >= 0 && column < f.width) {
    value = loadFloat(x, xType, ((image * f.channels + channel) * f.height + row) * f.width + column);
  }
  storeFloat(columns, columnsType, image * imageStride + k * depthStride + position, value);
}

// A thread to an element of the images, which adds up in the order of the filter's elements.
extern "C" __global__ void __launch_bounds__(256) fold2d(
    const void* columns, int columnsType, void* x, int xType, i64 elements, Filter f) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= elements) {
    return;
  }
  int row = (int)(i / f.width % f.height) + f.paddingY;
  int column = (int)(i % f.width) + f.paddingX;
  i64 plane = i / ((i64)f.height * f.width);  // image and channel
  float sum = 0;
  for (int r = 0; r < f.filterHeight; r++) {
    int down = row - r * f.dilationY;
    if (down < 0 || down % f.strideY != 0 || down / f.strideY >= f.outHeight) {
      continue;
    }
    for (int s = 0; s < f.filterWidth; s++) {
      int right = column - s * f.dilationX;
      if (right < 0 || right % f.strideX != 0 || right / f.strideX >= f.outWidth) {
        continue;
      }
      i64 k = (plane * f.filterHeight + r) * f.filterWidth + s;
      i64 at = (k * f.outHeight + down / f.strideY) * f.outWidth + right / f.strideX;
      sum += loadFloat(columns, columnsType, at);
    }
  }
  storeFloat(x, xType, i, sum);
}
