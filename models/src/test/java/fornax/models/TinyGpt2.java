package fornax.models;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.MustBeClosed;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.testkit.GoldenFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.Map;

/// The golden GPT-2 as Hugging Face's folders hold it.
public final class TinyGpt2 {
  private TinyGpt2() {}

  /// Its weights.
  @MustBeClosed
  public static SafeTensors open() throws IOException {
    return GoldenFiles.open("tiny_gpt2.safetensors");
  }

  /// The config and one file of weights.
  public static void write(Path folder) throws IOException {
    Files.copy(
        GoldenFiles.copy("tiny_gpt2.safetensors"),
        folder.resolve("model.safetensors"),
        StandardCopyOption.REPLACE_EXISTING);
    writeConfig(folder);
  }

  /// The config alone.
  public static void writeConfig(Path folder) throws IOException {
    Files.copy(
        GoldenFiles.copy("tiny_gpt2_config.json"),
        folder.resolve("config.json"),
        StandardCopyOption.REPLACE_EXISTING);
  }

  /// The config, three files of weights and their index.
  public static void writeShards(Path folder) throws IOException {
    ObjectNode index = JsonMapper.builder().build().createObjectNode();
    ObjectNode places = index.putObject("weight_map");
    try (var source = open()) {
      for (int shard = 0; shard < 3; shard++) {
        String file = "model-0000" + (shard + 1) + "-of-00003.safetensors";
        Map<String, HostTensor> tensors = new LinkedHashMap<>();
        for (int i = shard; i < source.names().size(); i += 3) {
          String name = source.names().get(i);
          tensors.put(name, source.entry(name));
          places.put(name, file);
        }
        SafeTensors.write(folder.resolve(file), tensors, Map.of());
      }
    }
    Files.writeString(folder.resolve("model.safetensors.index.json"), index.toString());
    writeConfig(folder);
  }

  /// A byte-level vocabulary of its 97 tokens: printable ASCII, the space, and one merge; what
  /// `vocab.json` and `merges.txt` spell.
  public static void writeTokenizer(Path folder) throws IOException {
    ObjectNode vocabulary = JsonMapper.builder().build().createObjectNode();
    for (char c = '!'; c <= '~'; c++) {
      vocabulary.put(String.valueOf(c), vocabulary.size());
    }
    for (String token : new String[] {"\u0120", "\u010a", "th"}) {
      vocabulary.put(token, vocabulary.size());
    }
    Files.writeString(folder.resolve("vocab.json"), vocabulary.toString());
    Files.writeString(folder.resolve("merges.txt"), "#version: 0.2\nt h\n");
  }
}
