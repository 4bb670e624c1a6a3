package fornax.cuda;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import fornax.backend.NdArray;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// One launch of a kernel being put together: arguments in the order of the kernel's parameters,
/// then the grid. Each argument is one or more 8-byte words.
final class Launch {
  private static final int MAX_ARGUMENTS = 24;

  private final CudaDevice device;
  final Kernel kernel;
  final String op;
  private long[] words = new long[48];
  private int used;
  private final int[] starts = new int[MAX_ARGUMENTS];
  private int arguments;

  /// Bytes of shared memory that the kernel does not name itself.
  int sharedBytes;

  Launch(CudaDevice device, Kernel kernel, String op) {
    this.device = device;
    this.kernel = kernel;
    this.op = op;
  }

  /// Begins an argument that is a struct, given by the words that follow.
  @CanIgnoreReturnValue
  Launch struct() {
    starts[arguments++] = used;
    return this;
  }

  /// A word of a struct.
  @CanIgnoreReturnValue
  Launch word(long word) {
    if (used == words.length) {
      words = Arrays.copyOf(words, 2 * used);
    }
    words[used++] = word;
    return this;
  }

  /// Two 4-byte fields of a struct, in their order.
  @CanIgnoreReturnValue
  Launch pair(int low, int high) {
    return word((low & 0xffffffffL) | (long) high << 32);
  }

  /// The first element of `array`.
  Launch array(@Nullable NdArray array) {
    return address(array == null ? 0 : CudaBlock.address(array));
  }

  /// The element `offset` of the buffer of `array`, whatever its layout says.
  Launch arrayAt(NdArray array, long offset) {
    return address(CudaBlock.address(array, offset));
  }

  Launch address(long address) {
    return struct().word(address);
  }

  Launch integer(int value) {
    return struct().word(value & 0xffffffffL);
  }

  /// A size or count that the kernel takes in 32 bits.
  Launch size(long value) {
    if (value < 0 || value > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          op + ": too large for one launch on a GPU; got a size of " + value + "; need below 2^31");
    }
    return integer((int) value);
  }

  Launch number(long value) {
    return struct().word(value);
  }

  Launch real(float value) {
    return integer(Float.floatToRawIntBits(value));
  }

  Launch real64(double value) {
    return number(Double.doubleToRawLongBits(value));
  }

  /// A `Strided` of all the operands of `loop`; the innermost axis comes first.
  Launch loop(StridedLoop loop) {
    int rank = loop.rank();
    if (rank > StridedLoop.MAX_DIMS) {
      throw new IllegalArgumentException(
          op + ": too many axes that do not join; got " + rank + "; need at most 8");
    }
    struct();
    int[] fields = new int[1 + StridedLoop.MAX_DIMS + 1];
    fields[0] = rank;
    for (int d = 0; d < rank; d++) {
      fields[1 + d] = Math.toIntExact(loop.dims()[rank - 1 - d]);
    }
    for (int i = 0; i < fields.length; i += 2) {
      pair(fields[i], fields[i + 1]);
    }
    for (long[] strides : loop.strides()) {
      for (int d = 0; d < StridedLoop.MAX_DIMS; d++) {
        word(d < rank ? strides[rank - 1 - d] : 0);
      }
    }
    return this;
  }

  /// Gives each block `bytes` of shared memory that the kernel does not name itself.
  @CanIgnoreReturnValue
  Launch shared(int bytes) {
    sharedBytes = bytes;
    return this;
  }

  /// Enqueues the kernel.
  void run(long gridX, long gridY, long gridZ, int blockX, int blockY) {
    if (gridX == 0 || gridY == 0 || gridZ == 0) {
      return;
    }
    if (gridX > Integer.MAX_VALUE || gridY > 65535 || gridZ > 65535) {
      throw new IllegalArgumentException(
          op + ": grid too large; got [" + gridX + ", " + gridY + ", " + gridZ + "]");
    }
    device.launch(
        this,
        (int) gridX,
        (int) gridY,
        (int) gridZ,
        blockX,
        blockY,
        words,
        used,
        starts,
        arguments);
  }

  /// Enqueues the kernel with one thread to each of `threads`, in blocks of 256.
  void threads(long threads) {
    run((threads + 255) / 256, 1, 1, 256, 1);
  }
}
