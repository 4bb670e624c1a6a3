package fornax.models.gpt;

import fornax.io.HostTensor;
import fornax.models.TinyGpt2;
import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// Whatever is in a folder of GPT-2's config, index and weights, it is opened or refused, and no
/// file outside it is read.
class HuggingFaceFolderFuzzTest {
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("huggingface", HuggingFaceFolderFuzzTest::read)
          .seeds(FOLDER.seeds())
          .allocating(2 << 20, 64) // the weights' headers are read besides
          .words("weight_map", "model-00001-of-00003.safetensors", "n_layer", "n_embd", "n_head")
          .words("vocab_size", "n_positions", "model_type", "gpt2", "h.0.ln_1.bias", "transformer.")
          .words("lm_head.weight", "n_inner", "layer_norm_epsilon", "tie_word_embeddings");

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("gpt2");
      TinyGpt2.writeShards(scratch);
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      files.put("config.json", Files.readAllBytes(scratch.resolve("config.json")));
      String index = "model.safetensors.index.json";
      files.put(index, Files.readAllBytes(scratch.resolve(index)));
      try (Stream<Path> all = Files.list(scratch)) {
        for (Path file : all.sorted().toList()) {
          files.putIfAbsent(file.getFileName().toString(), Files.readAllBytes(file));
          Files.delete(file);
        }
      }
      Files.delete(scratch);
      return FuzzFolder.of(files, 2);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    Path folder = FOLDER.with(input);
    boolean _ = HuggingFaceFolder.isOne(folder);
    try (var opened = HuggingFaceFolder.open(folder)) {
      long elements = 0;
      for (HostTensor tensor : opened.tensors().values()) {
        elements += tensor.shape().elements();
      }
      if (elements != opened.config().parameterCount()) {
        throw new AssertionError(elements + " of " + opened.config());
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
