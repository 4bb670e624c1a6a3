package fornax.data;

import com.knuddels.jtokkit.Encodings;
import com.knuddels.jtokkit.api.Encoding;
import com.knuddels.jtokkit.api.EncodingType;
import com.knuddels.jtokkit.api.IntArrayList;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/// GPT-2's byte pair encoding: 50,256 byte sequences and `<|endoftext|>`. Any text can be encoded;
/// a text that spells `<|endoftext|>` out is encoded as that text, not as the token.
public final class Gpt2Tokenizer implements Tokenizer {
  /// The token `<|endoftext|>`, which stands between the documents GPT-2 was trained on.
  public static final int END_OF_TEXT = 50256;

  static final String NAME = "gpt2";

  private static final int VOCABULARY_SIZE = 50257;

  /// A class of its own, since loading takes a good half second.
  private static final class Vocabulary {
    static final Encoding ENCODING =
        Encodings.newLazyEncodingRegistry().getEncoding(EncodingType.R50K_BASE);
  }

  /// The tokenizer. Its vocabulary is loaded at the first use.
  public Gpt2Tokenizer() {}

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int vocabularySize() {
    return VOCABULARY_SIZE;
  }

  @Override
  public int[] encode(String text) {
    return Vocabulary.ENCODING.encodeOrdinary(text).toArray();
  }

  @Override
  public StreamingDecoder streamingDecoder() {
    return new Utf8Decoder();
  }

  @Override
  public SequencedMap<String, String> description() {
    SequencedMap<String, String> description = new LinkedHashMap<>();
    description.put("type", NAME);
    return description;
  }

  @Override
  public String toString() {
    return NAME + " (" + VOCABULARY_SIZE + " tokens)";
  }

  private static byte[] bytes(int token) {
    if (token < 0 || token >= VOCABULARY_SIZE) {
      throw new IllegalArgumentException(
          "gpt2 tokenizer: got token " + token + "; need 0 to " + (VOCABULARY_SIZE - 1));
    }
    var one = new IntArrayList(1);
    one.add(token);
    return Vocabulary.ENCODING.decodeBytes(one);
  }

  /// Holds back the bytes of an incomplete character: at most three.
  private static final class Utf8Decoder implements StreamingDecoder {
    private final CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private byte[] held = {};

    @Override
    public String next(int token) {
      byte[] bytes = bytes(token);
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
}
