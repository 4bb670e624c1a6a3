package fornax.models.bert;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.data.WordPieceTokenizer;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

/// Whatever is in a folder of BERT's config, tokenizer and weights, it is opened or refused.
class BertFolderFuzzTest {
  private static final String CONFIG =
      """
      {"model_type":"bert","vocab_size":7,"max_position_embeddings":4,"type_vocab_size":2,\
      "num_hidden_layers":1,"num_attention_heads":2,"hidden_size":4,"intermediate_size":8,\
      "hidden_act":"gelu","layer_norm_eps":1e-12,"position_embedding_type":"absolute"}\
      """;

  private static final String TOKENIZER =
      """
      {"truncation":{"max_length":8},"normalizer":{"type":"BertNormalizer","lowercase":true,\
      "strip_accents":null,"clean_text":true},"pre_tokenizer":{"type":"BertPreTokenizer"},\
      "added_tokens":[{"id":1,"content":"[CLS]"}],"model":{"type":"WordPiece","unk_token":"[UNK]",\
      "continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[UNK]":0,"[CLS]":1,\
      "[SEP]":2,"a":3,"##b":4,"the":5,"[PAD]":6}}}\
      """;

  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("bert", BertFolderFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words(
              "num_hidden_layers", "hidden_size", "vocab", "[CLS]", "[SEP]", "##", "added_tokens")
          .words("max_length", "max_input_chars_per_word", "hidden_act", "relu");

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("bert");
      Path config = Files.writeString(scratch.resolve("config.json"), CONFIG);
      Path weights = scratch.resolve("model.safetensors");
      Map<String, HostTensor> tensors = new LinkedHashMap<>();
      BertNames.shapes(BertConfigFile.read(config))
          .forEach(
              (name, shape) ->
                  tensors.put(
                      name,
                      HostTensor.of(
                          FileDType.F32,
                          BertNames.isMatrix(name) // which files hold as [out, in]
                              ? Shape.of(shape.dim(1), shape.dim(0))
                              : shape,
                          MemorySegment.ofArray(new byte[(int) shape.elements() * 4]))));
      SafeTensors.write(weights, tensors, Map.of());
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      files.put("config.json", CONFIG.getBytes(UTF_8));
      files.put("tokenizer.json", TOKENIZER.getBytes(UTF_8));
      files.put("model.safetensors", Files.readAllBytes(weights));
      Files.delete(weights);
      Files.delete(config);
      Files.delete(scratch);
      return FuzzFolder.of(files, 3);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    Path folder = FOLDER.with(input);
    var tokenizer = WordPieceTokenizer.read(folder.resolve("tokenizer.json"));
    for (String text : new String[] {"", "ab the [CLS] \u00e9\ud800", "ab".repeat(90)}) {
      for (int token : tokenizer.encode(text)) {
        if (token < 0 || token >= tokenizer.vocabularySize()) {
          throw new AssertionError(token + " of " + tokenizer.vocabularySize());
        }
      }
    }
    try (BertWeights weights = BertWeights.openFolder(folder)) {
      String _ = weights.toString();
    }
  }

  @Test
  void numbersThatCannotBe_areRefused() {
    for (String number : new String[] {"2147483647", "1e999", "-1", "16777216"}) {
      refused(1, TOKENIZER.replace("\"id\":1", "\"id\":" + number), "need an id and a content");
      refused(1, TOKENIZER.replace("\"[PAD]\":6", "\"[PAD]\":" + number), "need a number");
    }
    refused(
        0,
        CONFIG.replace("\"num_hidden_layers\":1", "\"num_hidden_layers\":2147483647"),
        "num_hidden_layers too large");
    String header =
        "{\"encoder.layer.0.output.dense.weight\":{\"dtype\":\"F32\","
            + "\"shape\":[4294967296,0],\"data_offsets\":[0,0]}}";
    refused(2, (char) header.length() + "\0".repeat(7) + header, "need at most 2^31");
  }

  private static void refused(int which, String file, String need) {
    Exception refusal = FUZZ.check(((char) which + file).getBytes(UTF_8));
    assertNotNull(refusal, file);
    assertTrue(String.valueOf(refusal.getMessage()).contains(need), refusal::toString);
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
