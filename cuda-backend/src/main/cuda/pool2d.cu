// The largest element or the mean of windows of images: x [N, C, H, W] → y, places [N, C, H', W'].
// A thread to an element of the result; a gradient is added up in the order of the windows.
#include "fornax.cuh"

struct Window {
  int height, width;        // of x
  int outHeight, outWidth;  // of y
  int windowHeight, windowWidth;
  int strideY, strideX;
  int paddingY, paddingX;
};

// What a window meets of an image.
struct Seen {
  i64 plane;
  int top, left;
  int firstRow, firstColumn, endRow, endColumn;
};

__device__ __forceinline__ Seen seen(const Window& w, i64 i) {
  Seen s;
  s.plane = i / ((i64)w.outHeight * w.outWidth) * w.height * w.width;
  s.top = (int)(i / w.outWidth % w.outHeight) * w.strideY - w.paddingY;
  s.left = (int)(i % w.outWidth) * w.strideX - w.paddingX;
  s.firstRow = max(s.top, 0);
  s.firstColumn = max(s.left, 0);
  s.endRow = min(s.top + w.windowHeight, w.height);
  s.endColumn = min(s.left + w.windowWidth, w.width);
  return s;
}

extern "C" __global__ void __launch_bounds__(256) max_pool2d(
    const void* x, int xType, void* y, int yType, int* places, i64 elements, Window w) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= elements) {
    return;
  }
  Seen s = seen(w, i);
  float largest = loadFloat(x, xType, s.plane + (i64)s.firstRow * w.width + s.firstColumn);
  int place = (s.firstRow - s.top) * w.windowWidth + s.firstColumn - s.left;
  for (int row = s.firstRow; row < s.endRow; row++) {
    for (int column = s.firstColumn; column < s.endColumn; column++) {
      float value = loadFloat(x, xType, s.plane + (i64)row * w.width + column);
      if (value > largest || (isNan(value) && !isNan(largest))) {
        largest = value;
        place = (row - s.top) * w.windowWidth + column - s.left;
      }
    }
  }
  storeFloat(y, yType, i, largest);
  places[i] = place;
}

extern "C" __global__ void __launch_bounds__(256) avg_pool2d(
    const void* x, int xType, void* y, int yType, i64 elements, Window w) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= elements) {
    return;
  }
  Seen s = seen(w, i);
  float sum = 0;
  for (int row = s.firstRow; row < s.endRow; row++) {
    for (int column = s.firstColumn; column < s.endColumn; column++) {
      sum += loadFloat(x, xType, s.plane + (i64)row * w.width + column);
    }
  }
  storeFloat(y, yType, i, sum * (1.0f / (float)(w.windowHeight * w.windowWidth)));
}

// dx[i] = the sum of dy over the windows that saw x[i], and of those, where there are places, the
// ones whose place is i.
__device__ __forceinline__ float gradient(
    const int* places, const void* dy, int dyType, i64 i, const Window& w) {
  i64 plane = i / ((i64)w.height * w.width) * w.outHeight * w.outWidth;
  int row = (int)(i / w.width % w.height) + w.paddingY;
  int column = (int)(i % w.width) + w.paddingX;
  int firstY = row < w.windowHeight ? 0 : (row - w.windowHeight) / w.strideY + 1;
  int firstX = column < w.windowWidth ? 0 : (column - w.windowWidth) / w.strideX + 1;
  int endY = min(row / w.strideY + 1, w.outHeight);
  int endX = min(column / w.strideX + 1, w.outWidth);
  float sum = 0;
  for (int y = firstY; y < endY; y++) {
    for (int x = firstX; x < endX; x++) {
      i64 at = plane + (i64)y * w.outWidth + x;
      int place = (row - y * w.strideY) * w.windowWidth + column - x * w.strideX;
      if (places == nullptr || places[at] == place) {
        sum += loadFloat(dy, dyType, at);
      }
    }
  }
  return sum;
}

extern "C" __global__ void __launch_bounds__(256) max_pool2d_gradient(
    const int* places, const void* dy, int dyType, void* dx, int dxType, i64 elements, Window w) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < elements) {
    storeFloat(dx, dxType, i, gradient(places, dy, dyType, i, w));
  }
}

extern "C" __global__ void __launch_bounds__(256) avg_pool2d_gradient(
    const void* dy, int dyType, void* dx, int dxType, i64 elements, Window w) {
  i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < elements) {
    float factor = 1.0f / (float)(w.windowHeight * w.windowWidth);
    storeFloat(dx, dxType, i, factor * gradient(nullptr, dy, dyType, i, w));
  }
}
