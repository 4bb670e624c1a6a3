package fornax.array;

/// The type of an array's elements.
///
/// `F32` is the working type; `BF16` is a storage type whose arithmetic is done in F32; `F64`
/// exists on the reference backend only; `I32` holds indices and random bits; `BOOL` (one byte, 0
/// or 1) comes out of comparisons.
public enum DType {
  F32(4, true),
  F64(8, true),
  BF16(2, true),
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

  /// Whether this is F32, F64 or BF16: the types that can have gradients.
  public boolean isFloating() {
    return floating;
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
