package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import fornax.array.DType;
import fornax.backend.HostBlock;
import fornax.backend.NdArray;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Moving elements as they are or converted: copy, fill, range and the way to and from the host.
final class Copy {
  private static final int COST = 3;

  private Copy() {}

  static void copy(Workers workers, NdArray x, NdArray y) {
    if (x.dtype() == y.dtype() && x.isContiguous() && y.isContiguous()) {
      copyBytes(workers, x, y);
      return;
    }
    boolean ints = x.dtype() == DType.I32 && y.dtype() == DType.I32;
    new BlockLoop(ints, -1, 0, COST, x, y) {
      @Override
      void block(MemorySegment[] words, long[] at, int n) {
        MemorySegment.copy(words[0], at[0], words[1], at[1], 4L * n);
      }
    }.run(workers);
  }

  private static void copyBytes(Workers workers, NdArray x, NdArray y) {
    MemorySegment from = HostBlock.segment(x);
    MemorySegment to = HostBlock.segment(y);
    int size = x.dtype().bytes();
    long first = x.layout().offset() * size;
    long second = y.layout().offset() * size;
    long bytes = x.bytes();
    int tasks = (int) Math.ceilDiv(bytes, 1 << 18);
    workers.parallel(
        bytes,
        tasks,
        task -> {
          long start = (long) task << 18;
          long n = Math.min(1 << 18, bytes - start);
          MemorySegment.copy(from, first + start, to, second + start, n);
        });
  }

  static void fill(Workers workers, NdArray y, double value) {
    boolean ints = y.dtype() == DType.I32;
    int word = ints ? (int) value : Float.floatToRawIntBits((float) value);
    if (y.isContiguous() && y.elements() * y.dtype().bytes() <= BlockLoop.BLOCK) {
      fillSmall(y, value);
      return;
    }
    new BlockLoop(ints, 0, word, COST, y, y) {
      @Override
      void block(MemorySegment[] words, long[] at, int n) {
        MemorySegment.copy(words[0], at[0], words[1], at[1], 4L * n);
      }
    }.run(workers);
  }

  private static void fillSmall(NdArray y, double value) {
    MemorySegment data = HostBlock.segment(y);
    long end = y.layout().offset() + y.elements();
    for (long i = y.layout().offset(); i < end; i++) {
      set(y.dtype(), data, i, value);
    }
  }

  /// `y[i] = start + i·step`, worked out in double precision.
  static void range(NdArray y, double start, double step) {
    MemorySegment data = HostBlock.segment(y);
    long offset = y.layout().offset();
    for (long i = 0; i < y.elements(); i++) {
      set(y.dtype(), data, offset + i, start + i * step);
    }
  }

  /// Sets one element to `value`, converted.
  static void set(DType type, MemorySegment data, long place, double value) {
    switch (type) {
      case F32 -> data.set(JAVA_FLOAT, 4 * place, (float) value);
      case BF16, F16 -> data.set(JAVA_SHORT, 2 * place, type.toHalf((float) value));
      case I32 -> data.set(JAVA_INT, 4 * place, (int) value);
      case BOOL -> data.set(JAVA_BYTE, place, (byte) (value != 0 ? 1 : 0));
      case F64 ->
          throw new IllegalArgumentException(
              "cpu: type not supported; got F64; need F32, BF16, F16, I32 or BOOL");
    }
  }

  static void upload(MemorySegment source, NdArray y) {
    long start = y.layout().offset() * y.dtype().bytes();
    MemorySegment.copy(source, 0, HostBlock.segment(y), start, y.bytes());
  }

  /// A copy of the elements, on the heap where it fits an array.
  static MemorySegment readback(NdArray x) {
    long elements = x.elements();
    MemorySegment copy =
        elements > Integer.MAX_VALUE - 8
            ? Arena.ofAuto().allocate(x.bytes(), 64)
            : switch (x.dtype()) {
              case F32 -> MemorySegment.ofArray(new float[(int) elements]);
              case F64 -> MemorySegment.ofArray(new double[(int) elements]);
              case BF16, F16 -> MemorySegment.ofArray(new short[(int) elements]);
              case I32 -> MemorySegment.ofArray(new int[(int) elements]);
              case BOOL -> MemorySegment.ofArray(new byte[(int) elements]);
            };
    long start = x.layout().offset() * x.dtype().bytes();
    MemorySegment.copy(HostBlock.segment(x), start, copy, 0, x.bytes());
    return copy;
  }
}
