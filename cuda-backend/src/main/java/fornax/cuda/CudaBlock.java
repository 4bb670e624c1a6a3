package fornax.cuda;

import fornax.backend.Block;
import fornax.backend.NdArray;

/// A piece of device memory from `cuMemAlloc`.
final class CudaBlock extends Block {
  private final CudaDevice device;
  private final long address;

  CudaBlock(CudaDevice device, long address, long bytes) {
    super(bytes);
    this.device = device;
    this.address = address;
  }

  /// Where the first element of `array` lies.
  static long address(NdArray array) {
    return address(array, array.layout().offset());
  }

  /// Where the element `offset` of the buffer of `array` lies.
  static long address(NdArray array, long offset) {
    var buffer = array.buffer();
    return ((CudaBlock) buffer.block()).address + buffer.start() + offset * array.dtype().bytes();
  }

  @Override
  protected void fill(long start, long length, byte value) {
    device.setBytes(address + start, length, value);
  }

  @Override
  protected boolean isFilled(long start, long length, byte value) {
    if (!device.isOpen() || device.isCapturing()) {
      return true; // the context took its memory with it; nothing of a captured step can be read
    }
    byte[] bytes = new byte[Math.toIntExact(length)];
    device.readNow(address + start, bytes);
    for (byte b : bytes) {
      if (b != value) {
        return false;
      }
    }
    return true;
  }

  @Override
  protected void free() {
    device.free(address);
  }
}
