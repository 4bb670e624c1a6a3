package fornax.io;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/// Reads one message of Google's protocol buffers, field by field: `while (reader.next())`, then by
/// [#field()] the value, which must be taken or skipped. Nothing is copied but strings.
///
/// Source: the format's own page, "Encoding".
final class ProtobufReader {
  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int LENGTH_DELIMITED = 2;
  private static final int FIXED32 = 5;
  private static final int MAX_VARINT_BYTES = 10;
  private static final String NEED = "a whole message of protocol buffers";

  private final Path path;
  private final MemorySegment message;
  private final long start; // of the message in its file, for errors
  private long position;
  private int field;
  private int wireType;

  ProtobufReader(Path path, MemorySegment file) {
    this(path, file, 0);
  }

  private ProtobufReader(Path path, MemorySegment message, long start) {
    this.path = path;
    this.message = message;
    this.start = start;
  }

  /// Goes to the next field; false at the message's end.
  boolean next() throws CorruptFileException {
    if (position == message.byteSize()) {
      return false;
    }
    long tag = varint();
    long number = tag >>> 3;
    if (number < 1 || number > 1 << 29) {
      throw corrupt("field number " + number);
    }
    field = (int) number;
    wireType = (int) (tag & 7);
    return true;
  }

  /// The number of the field at hand.
  int field() {
    return field;
  }

  /// Whether the field at hand has a length: it is bytes, a string, a message, or packed numbers.
  boolean isDelimited() {
    return wireType == LENGTH_DELIMITED;
  }

  /// Passes over the field's value.
  void skip() throws CorruptFileException {
    switch (wireType) {
      case VARINT -> {
        var _ = varint();
      }
      case FIXED64 -> advance(Long.BYTES);
      case FIXED32 -> advance(Integer.BYTES);
      case LENGTH_DELIMITED -> {
        var _ = bytes();
      }
      default -> throw corrupt("wire type " + wireType + " in field " + field);
    }
  }

  /// The field's value, a whole number.
  long number() throws CorruptFileException {
    if (wireType != VARINT) {
      throw corrupt("wire type " + wireType + " for the number in field " + field);
    }
    return varint();
  }

  /// The field's value, bytes of the file.
  MemorySegment bytes() throws CorruptFileException {
    if (wireType != LENGTH_DELIMITED) {
      throw corrupt("wire type " + wireType + " for the bytes in field " + field);
    }
    long length = varint();
    long from = position;
    advance(length);
    return message.asSlice(from, length);
  }

  /// The field's value, a string.
  String string() throws CorruptFileException {
    return new String(bytes().toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
  }

  /// The field's value, a message or packed numbers.
  ProtobufReader message() throws CorruptFileException {
    MemorySegment bytes = bytes();
    return new ProtobufReader(path, bytes, start + position - bytes.byteSize());
  }

  /// Whether packed numbers are left; each is a [#varint()].
  boolean hasMore() {
    return position < message.byteSize();
  }

  /// A whole number without a field of its own.
  long varint() throws CorruptFileException {
    long value = 0;
    for (int i = 0; i < MAX_VARINT_BYTES; i++) {
      if (position == message.byteSize()) {
        throw corrupt("the end inside a number");
      }
      byte next = message.get(ValueLayout.JAVA_BYTE, position++);
      value |= (long) (next & 0x7f) << (7 * i);
      if (next >= 0) {
        return value;
      }
    }
    throw corrupt("a number of more than " + MAX_VARINT_BYTES + " bytes");
  }

  private void advance(long bytes) throws CorruptFileException {
    if (bytes < 0 || bytes > message.byteSize() - position) {
      throw corrupt(
          "a length of "
              + bytes
              + " in field "
              + field
              + " where "
              + (message.byteSize() - position)
              + " bytes are left");
    }
    position += bytes;
  }

  private CorruptFileException corrupt(String found) {
    return new CorruptFileException(
        path, null, "found " + found + " at byte " + (start + position), NEED);
  }
}
