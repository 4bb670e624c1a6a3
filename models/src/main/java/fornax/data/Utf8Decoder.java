package fornax.data;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.function.IntFunction;

/// Decodes tokens that are bytes. Holds back the bytes of an incomplete character: at most three.
final class Utf8Decoder implements StreamingDecoder {
  private final IntFunction<byte[]> bytesOf;
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPLACE)
          .onUnmappableCharacter(CodingErrorAction.REPLACE);
  private byte[] held = {};

  /// @param bytesOf the bytes of a token
  Utf8Decoder(IntFunction<byte[]> bytesOf) {
    this.bytesOf = bytesOf;
  }

  @Override
  public String next(int token) {
    byte[] bytes = bytesOf.apply(token);
    ByteBuffer in = ByteBuffer.allocate(held.length + bytes.length).put(held).put(bytes).flip();
    String text = decode(in, false);
    held = new byte[in.remaining()];
    in.get(held);
    return text;
  }

  @Override
  public String end() {
    String text = decode(ByteBuffer.wrap(held), true);
    held = new byte[0];
    return text;
  }

  private String decode(ByteBuffer in, boolean last) {
    var out = CharBuffer.allocate(in.remaining() + 1); // no more chars than bytes
    var result = decoder.reset().decode(in, out, last);
    if (result.isOverflow()) {
      throw new AssertionError("more characters than bytes");
    }
    return out.flip().toString();
  }
}
