package fornax.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

/// Any bytes are a tokenizer or a [DataException], in each of the four formats; and what is a
/// tokenizer encodes any text, or names the character that it lacks.
class TokenizerFuzzTest {
  private static final String[] TEXTS = {
    "", "a the b", "\ud800", "\u00e9\n\u0000 \ud83d\ude42<|e|>'ll", "ab".repeat(40)
  };

  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("tokenizer", TokenizerFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words(
              "model", "vocab", "merges", "type", "BPE", "WordLevel", "ByteLevel", "added_tokens")
          .words("content", "id", "characters", "char", "gpt2", "bpe", "json", "\u0120", "\ufeff")
          .words("#version", "pre_tokenizer", "normalizer", "Split", "use_regex");

  private static FuzzFolder folder() {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    files.put(
        "bpe/tokenizer.json",
        """
        {"added_tokens":[{"id":4,"content":"<|e|>"}],"normalizer":null,"pre_tokenizer":{"type":\
        "ByteLevel","add_prefix_space":false,"use_regex":true},"model":{"type":"BPE","vocab":{\
        "a":0,"b":1,"\u0120":2,"ab":3},"merges":["a b",["a","b"]]}}
        """
            .getBytes(UTF_8));
    files.put(
        "word/tokenizer.json",
        """
        {"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(?s:.)"}},"model":{"type":"WordLevel",\
        "vocab":{" ":0,"a":1,"b":2},"unk_token":" "}}
        """
            .getBytes(UTF_8));
    files.put("char/tokenizer.json", "{\"type\":\"char\",\"characters\":\" ab\"}".getBytes(UTF_8));
    files.put("files/vocab.json", "{\"a\":0,\"b\":1,\"ab\":2,\"\u0120\":3}".getBytes(UTF_8));
    files.put("files/merges.txt", "#version: 0.2\na b\n".getBytes(UTF_8));
    return FuzzFolder.of(files, 5);
  }

  private static void read(byte[] input) throws IOException {
    Path folder = FOLDER.with(input);
    int which = input.length == 0 ? 0 : (input[0] & 0xff) % 5;
    Tokenizer tokenizer =
        switch (which) {
          case 0 -> Tokenizer.load(folder.resolve("bpe/tokenizer.json"));
          case 1 -> HuggingFaceTokenizers.read(folder.resolve("word"));
          case 2 -> Tokenizer.load(folder.resolve("char/tokenizer.json"));
          default -> HuggingFaceTokenizers.read(folder.resolve("files"));
        };
    if (tokenizer == null) {
      throw new AssertionError("no tokenizer in " + folder);
    }
    if (tokenizer instanceof Gpt2Tokenizer) {
      return;
    }
    for (int token = 0; token < Math.min(9, tokenizer.vocabularySize()); token++) {
      String _ = tokenizer.decode(token);
    }
    for (String text : TEXTS) {
      try {
        for (int token : tokenizer.encode(text)) {
          if (token < 0 || token >= tokenizer.vocabularySize()) {
            throw new AssertionError(token + " of " + tokenizer);
          }
        }
      } catch (UnknownCharacterException e) {
        if (e.getMessage() == null) {
          throw new AssertionError(tokenizer.toString(), e);
        }
      }
    }
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areReadOrRefused() {
    FUZZ.run();
  }
}
