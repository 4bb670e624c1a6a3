package fornax.io;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Elements of a file to Java values and back. Files are little-endian and their tensors need not
/// be aligned, so every access names its layout.
final class Elements {
  static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private Elements() {}

  /// The `float` of the same value as the bfloat16 `bits`.
  static float fromBf16(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /// The bits of the bfloat16 nearest to `value`, ties to even. A NaN stays a NaN of the same sign.
  static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) (bits >>> 16 | 0x40); // quiet, so that dropping payload bits makes no infinity
    }
    return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
  }

  static float[] floats(HostTensor tensor, String label) throws ConversionException {
    MemorySegment bytes = tensor.bytes();
    var out = new float[length(tensor, label)];
    switch (tensor.dtype()) {
      case F16 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = Float.float16ToFloat(bytes.get(SHORT, 2L * i));
        }
      }
      case BF16 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = fromBf16(bytes.get(SHORT, 2L * i));
        }
      }
      case F32 -> MemorySegment.copy(bytes, FLOAT, 0, out, 0, out.length);
      case F64 -> {
        for (int i = 0; i < out.length; i++) {
          double value = bytes.get(DOUBLE, 8L * i);
          out[i] = (float) value;
          if (Float.isInfinite(out[i]) && Double.isFinite(value)) {
            throw bad(label, i, value, "a magnitude of at most " + Float.MAX_VALUE + " for float");
          }
        }
      }
      case I32, I64, U8, BOOL -> {
        for (int i = 0; i < out.length; i++) {
          long value = integer(tensor.dtype(), bytes, i, label);
          out[i] = value;
          if ((long) out[i] != value || value == Long.MAX_VALUE) {
            throw bad(label, i, value, "an integer that float holds exactly");
          }
        }
      }
    }
    return out;
  }

  static double[] doubles(HostTensor tensor, String label) throws ConversionException {
    MemorySegment bytes = tensor.bytes();
    var out = new double[length(tensor, label)];
    switch (tensor.dtype()) {
      case F16, BF16, F32 -> {
        float[] values = floats(tensor, label);
        for (int i = 0; i < out.length; i++) {
          out[i] = values[i];
        }
      }
      case F64 -> MemorySegment.copy(bytes, DOUBLE, 0, out, 0, out.length);
      case I32, I64, U8, BOOL -> {
        for (int i = 0; i < out.length; i++) {
          long value = integer(tensor.dtype(), bytes, i, label);
          out[i] = value;
          if ((long) out[i] != value || value == Long.MAX_VALUE) {
            throw bad(label, i, value, "an integer that double holds exactly");
          }
        }
      }
    }
    return out;
  }

  static int[] ints(HostTensor tensor, String label) throws ConversionException {
    MemorySegment bytes = tensor.bytes();
    var out = new int[length(tensor, label)];
    switch (tensor.dtype()) {
      case F16, BF16, F32, F64 ->
          throw new ConversionException(
              label, "dtype " + tensor.dtype(), "I32, I64, U8 or BOOL for int");
      case I32 -> MemorySegment.copy(bytes, INT, 0, out, 0, out.length);
      case I64, U8, BOOL -> {
        for (int i = 0; i < out.length; i++) {
          long value = integer(tensor.dtype(), bytes, i, label);
          out[i] = (int) value;
          if (out[i] != value) {
            throw bad(label, i, value, Integer.MIN_VALUE + " to " + Integer.MAX_VALUE + " for int");
          }
        }
      }
    }
    return out;
  }

  static MemorySegment ofFloats(FileDType dtype, float[] values) {
    var out = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, dtype.bytes())]);
    for (int i = 0; i < values.length; i++) {
      switch (dtype) {
        case F16 -> out.set(SHORT, 2L * i, Float.floatToFloat16(values[i]));
        case BF16 -> out.set(SHORT, 2L * i, toBf16(values[i]));
        case F32 -> out.set(INT, 4L * i, Float.floatToRawIntBits(values[i]));
        case F64 -> out.set(DOUBLE, 8L * i, values[i]);
        case I32, I64, U8, BOOL ->
            throw new IllegalArgumentException(
                "HostTensor: floats cannot be stored as " + dtype + "; need F16, BF16, F32 or F64");
      }
    }
    return out;
  }

  static MemorySegment ofDoubles(double[] values) {
    var out = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, Double.BYTES)]);
    MemorySegment.copy(values, 0, out, DOUBLE, 0, values.length);
    return out;
  }

  static MemorySegment ofLongs(long[] values) {
    var out = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, Long.BYTES)]);
    MemorySegment.copy(values, 0, out, LONG, 0, values.length);
    return out;
  }

  static MemorySegment ofInts(FileDType dtype, int[] values) {
    var out = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, dtype.bytes())]);
    for (int i = 0; i < values.length; i++) {
      switch (dtype) {
        case I32 -> out.set(INT, 4L * i, values[i]);
        case I64 -> out.set(LONG, 8L * i, values[i]);
        case U8 -> out.set(ValueLayout.JAVA_BYTE, i, small(dtype, values[i], 255));
        case BOOL -> out.set(ValueLayout.JAVA_BYTE, i, small(dtype, values[i], 1));
        case F16, BF16, F32, F64 ->
            throw new IllegalArgumentException(
                "HostTensor: ints cannot be stored as " + dtype + "; need I32, I64, U8 or BOOL");
      }
    }
    return out;
  }

  private static byte small(FileDType dtype, int value, int most) {
    if (value < 0 || value > most) {
      throw new IllegalArgumentException(
          "HostTensor: got " + value + "; need 0 to " + most + " for " + dtype);
    }
    return (byte) value;
  }

  private static long integer(FileDType dtype, MemorySegment bytes, int i, String label)
      throws ConversionException {
    return switch (dtype) {
      case I32 -> bytes.get(INT, 4L * i);
      case I64 -> bytes.get(LONG, 8L * i);
      case U8 -> Byte.toUnsignedLong(bytes.get(ValueLayout.JAVA_BYTE, i));
      case BOOL -> {
        long value = Byte.toUnsignedLong(bytes.get(ValueLayout.JAVA_BYTE, i));
        if (value > 1) {
          throw bad(label, i, value, "0 or 1 for BOOL");
        }
        yield value;
      }
      case F16, BF16, F32, F64 -> throw new IllegalArgumentException(dtype + " is no integer type");
    };
  }

  private static int length(HostTensor tensor, String label) throws ConversionException {
    long elements = tensor.shape().elements();
    if (elements > Integer.MAX_VALUE - 8) {
      throw new ConversionException(
          label, elements + " elements", "at most " + (Integer.MAX_VALUE - 8) + " for an array");
    }
    return (int) elements;
  }

  private static ConversionException bad(String label, int index, Object value, String need) {
    return new ConversionException(label, "element " + index + " is " + value, need);
  }
}
