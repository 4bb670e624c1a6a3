package fornax.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import fornax.array.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.VectorOperators;

/// Elements of any type as contiguous 32-bit words, the form that kernels work on, and back.
///
/// A word is a float, into which BF16, F16, BOOL (0 or 1) and I32 are converted; or, where `ints`
/// is set, an I32 element as it is. Places in arrays are counted in elements, places in words in
/// bytes.
final class Words {
  private Words() {}

  /// Whether elements of `type` are words as they lie in memory.
  static boolean isWord(DType type, boolean ints) {
    return type == DType.F32 || (ints && type == DType.I32);
  }

  /// Reads `n` elements from `place` on, `stride` apart, to the words at `to`.
  static void read(
      DType type,
      boolean ints,
      MemorySegment x,
      long place,
      long stride,
      int n,
      MemorySegment words,
      long to) {
    switch (type) {
      case F32 -> readWords(x, place, stride, n, words, to);
      case I32 -> {
        if (ints) {
          readWords(x, place, stride, n, words, to);
        } else {
          for (int i = 0; i < n; i++) {
            words.set(JAVA_FLOAT, to + 4L * i, x.get(JAVA_INT, 4 * (place + i * stride)));
          }
        }
      }
      case BF16, F16 -> readHalves(type, x, place, stride, n, words, to);
      case BOOL -> readBool(x, place, stride, n, words, to);
      case F64 -> throw unsupported();
    }
  }

  /// Writes `n` words to elements from `place` on, `stride` apart.
  static void write(
      DType type,
      boolean ints,
      MemorySegment words,
      long from,
      int n,
      MemorySegment y,
      long place,
      long stride) {
    switch (type) {
      case F32 -> writeWords(words, from, n, y, place, stride);
      case I32 -> {
        if (ints) {
          writeWords(words, from, n, y, place, stride);
        } else {
          for (int i = 0; i < n; i++) {
            y.set(JAVA_INT, 4 * (place + i * stride), (int) words.get(JAVA_FLOAT, from + 4L * i));
          }
        }
      }
      case BF16, F16 -> writeHalves(type, words, from, n, y, place, stride);
      case BOOL -> writeBool(words, from, n, y, place, stride);
      case F64 -> throw unsupported();
    }
  }

  private static IllegalArgumentException unsupported() {
    return new IllegalArgumentException(
        "cpu: type not supported; got F64; need F32, BF16, F16, I32 or BOOL; F64 is the"
            + " reference backend's");
  }

  private static void readWords(
      MemorySegment x, long place, long stride, int n, MemorySegment words, long to) {
    if (stride == 1) {
      MemorySegment.copy(x, 4 * place, words, to, 4L * n);
    } else if (stride == 0) {
      int word = x.get(JAVA_INT, 4 * place);
      for (int i = 0; i < n; i++) {
        words.set(JAVA_INT, to + 4L * i, word);
      }
    } else {
      for (int i = 0; i < n; i++) {
        words.set(JAVA_INT, to + 4L * i, x.get(JAVA_INT, 4 * (place + i * stride)));
      }
    }
  }

  private static void writeWords(
      MemorySegment words, long from, int n, MemorySegment y, long place, long stride) {
    if (stride == 1) {
      MemorySegment.copy(words, from, y, 4 * place, 4L * n);
    } else {
      for (int i = 0; i < n; i++) {
        y.set(JAVA_INT, 4 * (place + i * stride), words.get(JAVA_INT, from + 4L * i));
      }
    }
  }

  private static void readHalves(
      DType type, MemorySegment x, long place, long stride, int n, MemorySegment words, long to) {
    int body = 0;
    if (stride == 1 && Simd.AVAILABLE) {
      body = n & -Simd.LANES;
      if (type == DType.BF16) {
        Kernels.readBFloat16(x, 2 * place, words, to, body);
      } else {
        Kernels.readFloat16(x, 2 * place, words, to, body);
      }
    }
    for (int i = body; i < n; i++) {
      short bits = x.get(JAVA_SHORT, 2 * (place + i * stride));
      words.set(JAVA_FLOAT, to + 4L * i, type.fromHalf(bits));
    }
  }

  private static void writeHalves(
      DType type, MemorySegment words, long from, int n, MemorySegment y, long place, long stride) {
    int body = 0;
    if (stride == 1 && Simd.AVAILABLE) {
      body = n & -Simd.LANES;
      if (type == DType.BF16) {
        Kernels.writeBFloat16(words, from, y, 2 * place, body);
      } else {
        Kernels.writeFloat16(words, from, y, 2 * place, body);
      }
    }
    for (int i = body; i < n; i++) {
      float value = words.get(JAVA_FLOAT, from + 4L * i);
      y.set(JAVA_SHORT, 2 * (place + i * stride), type.toHalf(value));
    }
  }

  private static void readBool(
      MemorySegment x, long place, long stride, int n, MemorySegment words, long to) {
    for (int i = 0; i < n; i++) {
      words.set(JAVA_FLOAT, to + 4L * i, x.get(JAVA_BYTE, place + i * stride));
    }
  }

  private static void writeBool(
      MemorySegment words, long from, int n, MemorySegment y, long place, long stride) {
    int body = 0;
    if (stride == 1 && Simd.AVAILABLE && Simd.LANES >= 8) {
      body = n & -Simd.LANES;
      Kernels.writeBool(words, from, y, place, body);
    }
    for (int i = body; i < n; i++) {
      boolean set = words.get(JAVA_FLOAT, from + 4L * i) != 0;
      y.set(JAVA_BYTE, place + i * stride, (byte) (set ? 1 : 0));
    }
  }

  // Counts are multiples of a vector.
  private static final class Kernels {
    static void readBFloat16(MemorySegment x, long at, MemorySegment words, long to, int n) {
      for (int i = 0; i < n; i += Vectors.LANES) {
        Vectors.store(Vectors.loadBFloat16(x, at + 2L * i), words, to + 4L * i);
      }
    }

    static void writeBFloat16(MemorySegment words, long from, MemorySegment y, long at, int n) {
      for (int i = 0; i < n; i += Vectors.LANES) {
        Vectors.storeBFloat16(Vectors.load(words, from + 4L * i), y, at + 2L * i);
      }
    }

    static void readFloat16(MemorySegment x, long at, MemorySegment words, long to, int n) {
      for (int i = 0; i < n; i += Vectors.LANES) {
        Vectors.store(Vectors.loadFloat16(x, at + 2L * i), words, to + 4L * i);
      }
    }

    static void writeFloat16(MemorySegment words, long from, MemorySegment y, long at, int n) {
      for (int i = 0; i < n; i += Vectors.LANES) {
        Vectors.storeFloat16(Vectors.load(words, from + 4L * i), y, at + 2L * i);
      }
    }

    static void writeBool(MemorySegment words, long from, MemorySegment y, long at, int n) {
      for (int i = 0; i < n; i += Vectors.LANES) {
        long set = Vectors.load(words, from + 4L * i).compare(VectorOperators.NE, 0f).toLong();
        for (int k = 0; k < Vectors.LANES; k += 8) { // eight bits to eight bytes
          long bytes = Long.expand(set >>> k, 0x0101010101010101L);
          y.set(JAVA_LONG_UNALIGNED, at + i + k, bytes);
        }
      }
    }
  }
}
