package fornax.io;

import java.util.Arrays;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// An element type of a file; the names are those of the safetensors format. Elements are stored
/// little-endian.
public enum FileDType {
  /// IEEE 754 half precision, 2 bytes.
  F16(2),
  /// The upper half of an `F32`, 2 bytes.
  BF16(2),
  /// IEEE 754 single precision, 4 bytes.
  F32(4),
  /// IEEE 754 double precision, 8 bytes.
  F64(8),
  /// Signed integer, 4 bytes.
  I32(4),
  /// Signed integer, 8 bytes.
  I64(8),
  /// Unsigned integer, 1 byte.
  U8(1),
  /// 0 or 1, 1 byte.
  BOOL(1);

  private final int bytes;

  FileDType(int bytes) {
    this.bytes = bytes;
  }

  /// Bytes of one element.
  public int bytes() {
    return bytes;
  }

  static @Nullable FileDType find(String name) {
    for (FileDType dtype : values()) {
      if (dtype.name().equals(name)) {
        return dtype;
      }
    }
    return null;
  }

  static String list() {
    return Arrays.stream(values()).map(Enum::name).collect(Collectors.joining(", "));
  }
}
