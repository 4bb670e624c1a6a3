package fornax.opencl;

import fornax.backend.Block;
import fornax.backend.NdArray;

/// Memory of an OpenCL device: one buffer object.
final class OpenClBlock extends Block {
  private final OpenClQueue queue;
  private final long handle;

  OpenClBlock(OpenClQueue queue, long handle, long bytes) {
    super(bytes);
    this.queue = queue;
    this.handle = handle;
  }

  /// The buffer object that holds `array`.
  static long handle(NdArray array) {
    return ((OpenClBlock) array.buffer().block()).handle;
  }

  /// Where the elements of `array` begin in its buffer object, in bytes.
  static long byteOffset(NdArray array) {
    return array.buffer().start() + array.layout().offset() * array.dtype().bytes();
  }

  @Override
  protected void fill(long start, long length, byte value) {
    queue.fill(handle, start, length, value);
  }

  @Override
  protected boolean isFilled(long start, long length, byte value) {
    return queue.isFilled(handle, start, length, value);
  }

  /// Commands that still use the buffer keep it alive until they are done.
  @Override
  protected void free() {
    queue.free(handle);
  }
}
