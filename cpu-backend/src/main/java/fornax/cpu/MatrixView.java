package fornax.cpu;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// A batch of strided matrices in memory, of F32 or BF16 elements.
///
/// Element `(i, j)` of matrix `n` is at `offset + start(n) + i·rowStride + j·columnStride`, where
/// `start(n)` is `n·batchStride`, or entry `n` of the batch offsets where these are given. Offsets
/// and strides count elements; a broadcast axis has stride 0.
final class MatrixView {
  final MemorySegment data;
  final boolean bfloat16;
  final long offset;
  final long rowStride;
  final long columnStride;
  private final long batchStride;
  private final long @Nullable [] batchOffsets;

  private MatrixView(
      MemorySegment data,
      boolean bfloat16,
      long offset,
      long rowStride,
      long columnStride,
      long batchStride,
      long @Nullable [] batchOffsets) {
    this.data = data;
    this.bfloat16 = bfloat16;
    this.offset = offset;
    this.rowStride = rowStride;
    this.columnStride = columnStride;
    this.batchStride = batchStride;
    this.batchOffsets = batchOffsets;
  }

  /// One matrix of floats.
  static MatrixView ofFloat32(MemorySegment data, long offset, long rowStride, long columnStride) {
    return new MatrixView(data, false, offset, rowStride, columnStride, 0, null);
  }

  /// One matrix of bfloat16 numbers.
  static MatrixView ofBfloat16(MemorySegment data, long offset, long rowStride, long columnStride) {
    return new MatrixView(data, true, offset, rowStride, columnStride, 0, null);
  }

  /// This view repeated along the batch, `stride` elements apart.
  MatrixView withBatchStride(long stride) {
    return new MatrixView(data, bfloat16, offset, rowStride, columnStride, stride, null);
  }

  /// This view repeated along the batch at the given offsets, which are not copied.
  MatrixView withBatchOffsets(long[] offsets) {
    return new MatrixView(data, bfloat16, offset, rowStride, columnStride, 0, offsets);
  }

  MatrixView transposed() {
    return new MatrixView(
        data, bfloat16, offset, columnStride, rowStride, batchStride, batchOffsets);
  }

  /// The bytes of one element.
  int elementBytes() {
    return bfloat16 ? Short.BYTES : Float.BYTES;
  }

  /// The byte offset of element `(row, column)` of matrix `batch`.
  long byteOffset(int batch, long row, long column) {
    long start = batchOffsets == null ? batch * batchStride : batchOffsets[batch];
    return (offset + start + row * rowStride + column * columnStride) * elementBytes();
  }

  long rowBytes() {
    return rowStride * elementBytes();
  }

  long columnBytes() {
    return columnStride * elementBytes();
  }
}
