package fornax.opencl;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.lwjgl.opencl.CL10;

/// Gives kernels their arguments; see [OpenClQueue#launch]. Used under the lock of the queue.
final class KernelArguments {
  private final OpenClDevice device;
  private final MemorySegment scratch;
  private final ByteBuffer scratchBytes;
  private final long errors;
  private final IndexErrors indexErrors;

  /// @param scratch memory to use in calls
  /// @param errors the handle of the words that `indexErrors` is about
  KernelArguments(
      OpenClDevice device, MemorySegment scratch, long errors, IndexErrors indexErrors) {
    this.device = device;
    this.scratch = scratch;
    this.scratchBytes = scratch.asByteBuffer().order(ByteOrder.nativeOrder());
    this.errors = errors;
    this.indexErrors = indexErrors;
  }

  /// Sets all `arguments` of `kernel`, which is about to run over `grid`.
  void set(String op, Kernel kernel, Grid grid, Object[] arguments) {
    int index = 0;
    for (Object argument : arguments) {
      index = set(op, kernel, grid, index, argument);
    }
  }

  private int set(String op, Kernel kernel, Grid grid, int index, Object argument) {
    switch (argument) {
      case NdArray array -> {
        scratch.set(JAVA_LONG, 0, OpenClBlock.handle(array));
        set(op, kernel, grid, index, 8, scratch.address());
        setIndex(
            op, kernel, grid, index + 1, OpenClBlock.byteOffset(array) / array.dtype().bytes());
        return index + 2;
      }
      case Long number -> setIndex(op, kernel, grid, index, number);
      case Integer number -> {
        scratch.set(JAVA_INT, 0, number);
        set(op, kernel, grid, index, 4, scratch.address());
      }
      case Float number -> {
        scratch.set(JAVA_INT, 0, Float.floatToRawIntBits(number));
        set(op, kernel, grid, index, 4, scratch.address());
      }
      case Argument structure -> {
        scratchBytes.clear();
        structure.write(scratchBytes, kernel.wide());
        set(op, kernel, grid, index, scratchBytes.position(), scratch.address());
      }
      case IndexErrors.Check check -> {
        scratch.set(JAVA_LONG, 0, errors);
        set(op, kernel, grid, index, 8, scratch.address());
        scratch.set(JAVA_INT, 0, indexErrors.number(check));
        set(op, kernel, grid, index + 1, 4, scratch.address());
        return index + 2;
      }
      default -> throw new IllegalArgumentException("launch: no kernel takes " + argument);
    }
    return index + 1;
  }

  private void setIndex(String op, Kernel kernel, Grid grid, int index, long number) {
    if (kernel.wide()) {
      scratch.set(JAVA_LONG, 0, number);
    } else {
      scratch.set(JAVA_INT, 0, (int) number);
    }
    set(op, kernel, grid, index, kernel.wide() ? 8 : 4, scratch.address());
  }

  private void set(String op, Kernel kernel, Grid grid, int index, long bytes, long address) {
    int code = CL10.nclSetKernelArg(kernel.handle(), index, bytes, address);
    if (code != OpenClCheck.SUCCESS) {
      throw failed(op, kernel, grid, code, "clSetKernelArg " + index);
    }
  }

  /// The error of `call`, which gave `code`.
  DeviceException failed(String op, Kernel kernel, Grid grid, int code, String call) {
    return new DeviceException(
        op
            + ": "
            + call
            + " failed on "
            + device.name()
            + "; got "
            + OpenClCheck.name(code)
            + " for "
            + kernel.spec()
            + " with "
            + grid
            + "; "
            + OpenClCheck.hint(code));
  }

  /// Whether some argument or the grid needs indices of 64 bits.
  static boolean isWide(Grid grid, Object[] arguments) {
    if (grid.x() * grid.localX() > Integer.MAX_VALUE || grid.y() > Integer.MAX_VALUE) {
      return true;
    }
    for (Object argument : arguments) {
      boolean wide =
          switch (argument) {
            case NdArray array ->
                OpenClBlock.byteOffset(array) / array.dtype().bytes() + array.elements()
                    > Integer.MAX_VALUE;
            case Long number -> Math.abs(number) > Integer.MAX_VALUE;
            case Argument structure -> structure.isWide();
            default -> false;
          };
      if (wide) {
        return true;
      }
    }
    return false;
  }
}
