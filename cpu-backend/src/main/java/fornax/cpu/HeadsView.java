package fornax.cpu;

import java.lang.foreign.MemorySegment;

/// The rows of every head of an attention operand, `[batch, heads, rows, width]`, of F32 or BF16
/// elements that are contiguous along the width.
///
/// @param offset the element at `(0, 0, 0, 0)`
/// @param batchStride elements from one batch entry to the next; so the other strides
record HeadsView(
    MemorySegment data,
    boolean bfloat16,
    long offset,
    long batchStride,
    long headStride,
    long rowStride) {

  static HeadsView ofFloat32(
      MemorySegment data, long offset, long batchStride, long headStride, long rowStride) {
    return new HeadsView(data, false, offset, batchStride, headStride, rowStride);
  }

  int elementBytes() {
    return bfloat16 ? Short.BYTES : Float.BYTES;
  }

  long rowBytes() {
    return rowStride * elementBytes();
  }

  long byteOffset(long batch, long head, long row) {
    return (offset + batch * batchStride + head * headStride + row * rowStride) * elementBytes();
  }

  /// The packing source whose `j` axis runs over rows and whose `k` axis runs over the width.
  MatmulKernels.Source byRows() {
    return new MatmulKernels.Source(data, bfloat16, rowBytes(), elementBytes());
  }

  /// The packing source whose `j` axis runs over the width and whose `k` axis runs over rows.
  MatmulKernels.Source byWidth() {
    return new MatmulKernels.Source(data, bfloat16, elementBytes(), rowBytes());
  }
}
