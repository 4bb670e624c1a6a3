package fornax.data;

import com.knuddels.jtokkit.Encodings;
import com.knuddels.jtokkit.api.Encoding;
import com.knuddels.jtokkit.api.EncodingType;
import com.knuddels.jtokkit.api.IntArrayList;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.OptionalInt;
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
  public OptionalInt endOfText() {
    return OptionalInt.of(END_OF_TEXT);
  }

  @Override
  public int[] encode(String text) {
    return Vocabulary.ENCODING.encodeOrdinary(text).toArray();
  }

  @Override
  public StreamingDecoder streamingDecoder() {
    return new Utf8Decoder(Gpt2Tokenizer::bytes);
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

  /// This vocabulary with its merges, which Hugging Face's files need.
  BpeTokenizer explicit() throws DataException {
    List<byte[]> bytes = new ArrayList<>();
    for (int i = 0; i < END_OF_TEXT; i++) {
      bytes.add(bytes(i));
    }
    return BpeTokenizer.ofRanks(bytes, List.of("<|endoftext|>"));
  }
}
