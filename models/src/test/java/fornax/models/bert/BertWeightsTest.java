package fornax.models.bert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.Unary;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Hugging Face's folders.
class BertWeightsTest {
  private static final BertConfig CONFIG =
      new BertConfig(20, 8, 2, 2, 2, 8, 16, Unary.GELU_TANH, 1e-12);
  private static final String CONFIG_JSON =
      """
      {"model_type": "bert", "vocab_size": 20, "max_position_embeddings": 8, "type_vocab_size": 2,
       "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16,
       "hidden_act": "gelu_new", "layer_norm_eps": 1e-12}
      """;

  @TempDir Path folder;
  private final Map<String, HostTensor> tensors = new LinkedHashMap<>();

  @BeforeEach
  void writeConfig() throws IOException {
    Files.writeString(folder.resolve("config.json"), CONFIG_JSON);
  }

  // PyTorch's layers hold [out, in].
  private void publish(Bert bert, String prefix) {
    bert.parameters()
        .forEach(
            (path, tensor) -> {
              String name = prefix + BertNames.of(path);
              try (var _ = Scope.open()) {
                boolean matrix = path.startsWith("blocks.") && tensor.rank() == 2;
                Tensor stored = matrix ? tensor.detach().transpose().contiguous() : tensor;
                tensors.put(
                    name,
                    HostTensor.ofFloats(FileDType.F32, stored.shape(), stored.toFloatArray()));
              }
            });
  }

  private void write() throws IOException {
    SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of());
  }

  private static float[] hidden(Bert bert, Backend backend) {
    try (var _ = Scope.open()) {
      Tensor tokens = Tensors.on(backend).of(new int[] {3, 1, 4, 1, 5, 9}, Shape.of(2, 3));
      Tensor types = Tensors.on(backend).of(new int[] {0, 0, 1, 0, 1, 1}, Shape.of(2, 3));
      return bert.forward(tokens, types, null).toFloatArray();
    }
  }

  private void roundTrip(String prefix) throws IOException {
    try (var backend = Devices.open("cpu");
        var made = new Bert(CONFIG, Weights.on(backend, 5))) {
      publish(made, prefix);
      tensors.put(
          prefix + "pooler.dense.weight",
          HostTensor.ofFloats(FileDType.F32, Shape.of(1), 0)); // behind the encoder
      tensors.put(
          prefix + "embeddings.position_ids",
          HostTensor.ofLongs(Shape.of(1, 8), 0, 1, 2, 3, 4, 5, 6, 7));
      write();
      try (var weights = BertWeights.openFolder(folder);
          var read = weights.model(backend)) {
        assertEquals(CONFIG, weights.config());
        assertArrayEquals(hidden(made, backend), hidden(read, backend));
      }
    }
  }

  @Test
  void openFolder_readsWhatHuggingFaceWrites() throws IOException {
    roundTrip("");
  }

  @Test
  void openFolder_readsNamesWithPrefix() throws IOException {
    roundTrip("bert.");
  }

  private void open() throws IOException {
    try (var weights = BertWeights.openFolder(folder)) {
      assertEquals(CONFIG, weights.config());
    }
  }

  @Test
  void openFolder_namesWhatDoesNotMatch() throws IOException {
    try (var backend = Devices.open("cpu");
        var made = new Bert(CONFIG, Weights.on(backend, 5))) {
      publish(made, "");
    }
    String matrix = "encoder.layer.1.output.dense.weight";
    HostTensor right = Objects.requireNonNull(tensors.get(matrix));
    tensors.put(
        matrix, HostTensor.ofFloats(FileDType.F32, Shape.of(16, 8), right.floats())); // turned
    assertTrue(tensors.remove("embeddings.LayerNorm.bias") != null);
    tensors.put("encoder.layer.2.extra", HostTensor.ofFloats(FileDType.F32, Shape.of(1), 0));
    write();
    var error = assertThrows(IOException.class, this::open);
    for (String part :
        new String[] {
          "missing embeddings.LayerNorm.bias [8]",
          matrix + " is [8, 16] where [16, 8] is needed",
          "extra encoder.layer.2.extra [1]"
        }) {
      assertTrue(String.valueOf(error.getMessage()).contains(part), error.getMessage());
    }
  }

  @Test
  void openFolder_refusesOtherModels() throws IOException {
    Files.writeString(
        folder.resolve("config.json"), CONFIG_JSON.replace("\"bert\"", "\"roberta\""));
    var error = assertThrows(IOException.class, this::open);
    assertTrue(
        String.valueOf(error.getMessage())
            .endsWith("model_type not usable; got \"roberta\"; need \"bert\""),
        error.getMessage());
  }
}
