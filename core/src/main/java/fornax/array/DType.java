package fornax.array;

/// The type of an array's elements.
///
/// `F32` is the working type; `BF16` (8 bits of exponent, 7 of mantissa) and `F16` (IEEE's half: 5
/// and 10, up to 65504) are storage types whose arithmetic is done in F32; `F64` exists on the
/// reference backend only; `I32` holds indices and random bits; `BOOL` (one byte, 0 or 1) comes out
/// of comparisons.
public enum DType {
  F32(4, true),
  F64(8, true),
  BF16(2, true),
  F16(2, true),
  I32(4, false),
  BOOL(1, false);

  private final int bytes;
  private final boolean floating;

  DType(int bytes, boolean floating) {
    this.bytes = bytes;
    this.floating = floating;
  }

  /// Bytes of one element.
  public int bytes() {
    return bytes;
  }

  /// Whether this is F32, F64, BF16 or F16: the types that can have gradients.
  public boolean isFloating() {
    return floating;
  }

  /// Whether this is BF16 or F16: a type of 16 bits that is stored, and computed with in F32.
  public boolean isHalf() {
    return this == BF16 || this == F16;
  }

  /// Rounds `value` to the nearest of this type (ties to even; beyond the largest, infinity) and
  /// returns its 16 bits; NaN stays a quiet NaN.
  ///
  /// @throws IllegalStateException if this is not a half
  public short toHalf(float value) {
    return switch (this) {
      case BF16 -> toBFloat16(value);
      case F16 -> Float.floatToFloat16(value);
      case F32, F64, I32, BOOL -> throw new IllegalStateException(this + " has not 16 bits");
    };
  }

  /// The float of the same value as the 16 bits `bits` of this type; exact.
  ///
  /// @throws IllegalStateException if this is not a half
  public float fromHalf(short bits) {
    return switch (this) {
      case BF16 -> fromBFloat16(bits);
      case F16 -> Float.float16ToFloat(bits);
      case F32, F64, I32, BOOL -> throw new IllegalStateException(this + " has not 16 bits");
    };
  }

  /// Rounds `value` to the nearest BF16 (ties to even) and returns its 16 bits; NaN stays a quiet
  /// NaN.
  public static short toBFloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  /// The float with the BF16 bits `bits`; exact.
  public static float fromBFloat16(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }
}
