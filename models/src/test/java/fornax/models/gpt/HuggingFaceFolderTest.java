package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.models.Devices;
import fornax.models.TinyGpt2;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import fornax.testkit.GoldenFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The tiny GPT-2 in Hugging Face's folders of all forms, against PyTorch's double precision.
class HuggingFaceFolderTest {
  private static final double TOLERANCE = 1e-5;

  @TempDir Path folder;

  static Stream<String> devices() {
    return Devices.names();
  }

  private void assertGolden(String device) throws IOException {
    try (var golden = GoldenFiles.open("tiny_gpt2_golden.safetensors");
        var backend = Devices.open(device);
        var opened = HuggingFaceFolder.open(folder);
        var gpt = opened.model(backend);
        var _ = Scope.open()) {
      Tensor inputs =
          Tensors.on(backend).of(golden.ints("inputs.0"), golden.entry("inputs.0").shape());
      assertArrayEquals(
          golden.doubles("f64.logits"), gpt.logits(inputs).toDoubleArray(), TOLERANCE);
      int[] expected = golden.ints("greedy.tokens");
      assertArrayEquals(
          expected,
          new TextGenerator(gpt)
              .generate(golden.ints("greedy.prompt"), expected.length, Sampling.GREEDY));
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void oneFile(String device) throws IOException {
    TinyGpt2.write(folder);
    assertGolden(device);
  }

  @ParameterizedTest
  @MethodSource("devices")
  void prefixMasksAndHead(String device) throws IOException {
    try (var source = TinyGpt2.open()) {
      Map<String, HostTensor> tensors = new LinkedHashMap<>();
      for (String name : source.names()) {
        tensors.put("transformer." + name, source.entry(name));
      }
      for (int i = 0; i < 2; i++) {
        tensors.put(
            "transformer.h." + i + ".attn.bias",
            HostTensor.ofInts(FileDType.BOOL, Shape.of(1, 1, 32, 32), new int[32 * 32]));
        tensors.put(
            "transformer.h." + i + ".attn.masked_bias",
            HostTensor.ofFloats(FileDType.F32, Shape.scalar(), -1e4f));
      }
      tensors.put("lm_head.weight", source.entry("wte.weight"));
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of());
    }
    TinyGpt2.writeConfig(folder);
    assertGolden(device);
  }

  @Test
  void shards() throws IOException {
    TinyGpt2.writeShards(folder);
    assertGolden("cpu");
  }

  @Test
  void shard_withATensorThatTheIndexDoesNotPlace() throws IOException {
    TinyGpt2.writeShards(folder);
    Path index = folder.resolve("model.safetensors.index.json");
    Files.writeString(index, Files.readString(index).replaceFirst("\"ln_f.bias\":\"[^\"]*\",", ""));
    assertFault("ln_f.bias [48], which the index does not place there");
  }

  @Test
  void halfPrecision_isConvertedExactly() throws IOException {
    Map<String, float[]> values = new LinkedHashMap<>();
    try (var source = TinyGpt2.open()) {
      Map<String, HostTensor> tensors = new LinkedHashMap<>();
      for (String name : source.names()) {
        HostTensor half =
            HostTensor.ofFloats(FileDType.BF16, source.entry(name).shape(), source.floats(name));
        tensors.put(name, half);
        values.put(name, half.floats());
      }
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of());
    }
    TinyGpt2.writeConfig(folder);
    try (var backend = Devices.open("cpu");
        var opened = HuggingFaceFolder.open(folder);
        var gpt = opened.model(backend)) {
      for (var parameter : gpt.storedParameters().entrySet()) {
        assertArrayEquals(values.get(parameter.getKey()), parameter.getValue().toFloatArray());
      }
    }
  }

  @Test
  void load_holdsTheParametersAndOneTensorAtMost() throws IOException {
    TinyGpt2.write(folder);
    try (var backend = Devices.open("cpu");
        var opened = HuggingFaceFolder.open(folder)) {
      backend.memory().resetPeak();
      long before = backend.memory().stats().live();
      try (var gpt = opened.model(backend)) {
        long size = backend.memory().stats().live() - before;
        long largest =
            opened.tensors().values().stream().mapToLong(HostTensor::byteSize).max().orElseThrow();
        assertTrue(size >= 4 * gpt.parameterCount(), "size " + size);
        assertTrue(backend.memory().stats().peak() - before <= size + largest);
      }
    }
  }

  @Test
  void names_areThoseOfTheModel() {
    var config = new GptConfig(97, 32, 2, 3, 48, 0);
    try (var backend = Devices.open("cpu");
        var gpt = new Gpt(config, Weights.zeros(backend, 0))) {
      Map<String, Shape> shapes = new LinkedHashMap<>();
      gpt.storedParameters().forEach((name, tensor) -> shapes.put(name, tensor.shape()));
      assertEquals(shapes, HuggingFaceNames.shapes(config));
    }
  }

  private void assertFault(String message) {
    IOException fault =
        assertThrows(
            IOException.class,
            () -> {
              try (var opened = HuggingFaceFolder.open(folder)) {
                assertEquals("no fault", opened.toString());
              }
            });
    String got = String.valueOf(fault.getMessage());
    assertTrue(got.contains(message), got);
  }

  @Test
  void wrongMissingAndExtraTensors_areNamedWithTheirShapes() throws IOException {
    try (var source = TinyGpt2.open()) {
      Map<String, HostTensor> tensors = new LinkedHashMap<>();
      for (String name : source.names()) {
        tensors.put(name, source.entry(name));
      }
      var _ = tensors.remove("h.1.attn.c_proj.weight");
      tensors.put(
          "ln_f.weight", HostTensor.ofFloats(FileDType.F32, Shape.of(2, 24), new float[48]));
      tensors.put("h.2.ln_1.bias", HostTensor.ofFloats(FileDType.F32, Shape.of(3), 1, 2, 3));
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of());
    }
    TinyGpt2.writeConfig(folder);
    assertFault("missing h.1.attn.c_proj.weight [48, 48]");
    assertFault("ln_f.weight is [2, 24] where [48] is needed");
    assertFault("extra h.2.ln_1.bias [3]");
  }

  @Test
  void headUnlikeTheTable_isRefused() throws IOException {
    try (var source = TinyGpt2.open()) {
      Map<String, HostTensor> tensors = new LinkedHashMap<>();
      for (String name : source.names()) {
        tensors.put(name, source.entry(name));
      }
      tensors.put(
          "lm_head.weight",
          HostTensor.ofFloats(FileDType.F32, Shape.of(97, 48), new float[97 * 48]));
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of());
    }
    TinyGpt2.writeConfig(folder);
    assertFault("lm_head.weight F32 [97, 48] differs from wte.weight F32 [97, 48]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          "model_type": "gpt2" | "model_type": "llama" | model_type not usable; got "llama"
          "gelu_new" | "relu" | activation_function not usable; got "relu"; need "gelu_new"
          1e-05 | 1e-06 | layer_norm_epsilon not usable
          "tie_word_embeddings": true | "tie_word_embeddings": false | tie_word_embeddings not usable
          "n_inner": null | "n_inner": 100 | n_inner not usable; got 100; need null or 192
          "n_head": 3 | "n_head": 5 | width not divisible by heads
          "n_layer": 2 | "n_layer": "2" | n_layer not usable
          """)
  void otherKindsOfModel_areRefused(String before, String after, String message)
      throws IOException {
    TinyGpt2.write(folder);
    Path config = folder.resolve("config.json");
    String text = Files.readString(config);
    assertTrue(text.contains(before), text);
    Files.writeString(config, text.replace(before, after));
    assertFault(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../model.safetensors",
        "/etc/passwd",
        "..",
        ".",
        ".hidden",
        "",
        "a/b",
        "a\\\\b",
        "a\\u0000b",
        "\\ud800",
        "a\\nb",
        "C:x"
      })
  void index_namesNoOtherFoldersFile_andNoneThatNoDiskTakes(String name) throws IOException {
    TinyGpt2.writeShards(folder);
    Path index = folder.resolve("model.safetensors.index.json");
    String good = Files.readString(index);
    Files.writeString(
        index,
        good.replaceFirst("model-00002-of-00003.safetensors", Matcher.quoteReplacement(name)));
    assertFault("need a file name of letters, digits, dots and dashes");
  }

  @Test
  void config_ofMoreLayersThanThereAreTensors_costsNothing() throws IOException {
    TinyGpt2.write(folder);
    Path config = folder.resolve("config.json");
    String good = Files.readString(config);
    Files.writeString(config, good.replaceFirst("\"n_layer\": *\\d+", "\"n_layer\":2147483647"));
    assertFault("n_layer too large; got 2147483647 for ");
  }

  @Test
  void missingWeights() throws IOException {
    TinyGpt2.writeConfig(folder);
    assertFault("no weights; need model.safetensors or model.safetensors.index.json");
  }
}
