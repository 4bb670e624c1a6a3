package fornax.models.bert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.backend.Unary;
import fornax.data.MiniLm;
import fornax.data.WordPieceTokenizer;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The encoder with all-MiniLM-L6-v2's weights, beside ONNX Runtime on the same file.
class BertTest {
  private static final double WITHIN = 1e-4;
  private static final List<String> SENTENCES =
      List.of(
          "I chose that bank for",
          "Night is generally my time for walking.",
          "Ships?",
          "In the summer I often leave home early in the morning, and roam about fields and lanes"
              + " all day, or even escape for days or weeks together; but, saving in the country, I"
              + " seldom go out until after dark, though, Heaven be thanked, I love its light.");

  private static MiniLm files;
  private static WordPieceTokenizer tokenizer;
  private static OrtSession session;

  @BeforeAll
  static void open() throws IOException, OrtException {
    files = MiniLm.files(_ -> {});
    tokenizer = WordPieceTokenizer.read(files.tokenizer());
    session =
        OrtEnvironment.getEnvironment()
            .createSession(files.weights().toString(), new OrtSession.SessionOptions());
  }

  @AfterAll
  static void close() throws OrtException {
    session.close();
  }

  /// Sentences of one batch, padded to the longest.
  private static final class Batch {
    final int[] tokens;
    final boolean[] mask;
    final int rows;
    final int length;

    Batch(int[] tokens, boolean[] mask, int rows, int length) {
      this.tokens = tokens;
      this.mask = mask;
      this.rows = rows;
      this.length = length;
    }

    static Batch of(List<String> sentences) {
      List<int[]> all = sentences.stream().map(tokenizer::encode).toList();
      int length = all.stream().mapToInt(row -> row.length).max().orElseThrow();
      int[] tokens = new int[all.size() * length];
      boolean[] mask = new boolean[tokens.length];
      for (int i = 0; i < all.size(); i++) {
        System.arraycopy(all.get(i), 0, tokens, i * length, all.get(i).length);
        Arrays.fill(mask, i * length, i * length + all.get(i).length, true);
      }
      return new Batch(tokens, mask, all.size(), length);
    }

    Shape shape() {
      return Shape.of(rows, length);
    }

    /// What ONNX Runtime makes of it, `[rows · length, 384]`.
    float[][] truth() throws OrtException {
      long[] ids = Arrays.stream(tokens).asLongStream().toArray();
      long[] seen = new long[mask.length];
      Arrays.setAll(seen, i -> mask[i] ? 1 : 0);
      OrtEnvironment environment = OrtEnvironment.getEnvironment();
      long[] dims = {rows, length};
      try (var a = OnnxTensor.createTensor(environment, LongBuffer.wrap(ids), dims);
          var b = OnnxTensor.createTensor(environment, LongBuffer.wrap(seen), dims);
          var c =
              OnnxTensor.createTensor(environment, LongBuffer.wrap(new long[ids.length]), dims);
          var result =
              session.run(Map.of("input_ids", a, "attention_mask", b, "token_type_ids", c))) {
        float[][][] value = (float[][][]) result.get(0).getValue();
        List<float[]> flat = new ArrayList<>();
        for (float[][] row : value) {
          flat.addAll(Arrays.asList(row));
        }
        return flat.toArray(float[][]::new);
      }
    }
  }

  private static void assertSame(Backend backend, List<String> sentences, boolean masked)
      throws IOException, OrtException {
    Batch batch = Batch.of(sentences);
    float[][] truth = batch.truth();
    try (var weights = BertWeights.openOnnx(files.weights(), BertConfig.MINI_LM);
        var bert = weights.model(backend);
        var _ = Scope.open()) {
      Tensors device = Tensors.on(backend);
      Tensor tokens = device.of(batch.tokens, batch.shape());
      Tensor mask = masked ? device.of(batch.mask, batch.shape()) : null;
      float[] hidden = bert.forward(tokens, mask).toFloatArray();
      int width = BertConfig.MINI_LM.width();
      double[][] means = new double[batch.rows][width];
      for (int i = 0; i < truth.length; i++) {
        if (batch.mask[i]) {
          for (int j = 0; j < width; j++) {
            assertEquals(truth[i][j], hidden[i * width + j], WITHIN, "token " + i + ", " + j);
            means[i / batch.length][j] += truth[i][j];
          }
        }
      }
      float[] embedded = bert.embed(tokens, mask).toFloatArray();
      for (int row = 0; row < means.length; row++) {
        double norm = Math.sqrt(Arrays.stream(means[row]).map(x -> x * x).sum());
        for (int j = 0; j < width; j++) {
          assertEquals(means[row][j] / norm, embedded[row * width + j], WITHIN);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "opencl"})
  void forward_isOnnxRuntimes(String name) throws IOException, OrtException {
    if (name.equals("opencl")) {
      Devices.requireOpenCl();
    }
    try (var backend = Devices.open(name)) {
      assertSame(backend, SENTENCES, true); // padded
      assertSame(backend, SENTENCES.subList(0, 1), false); // not padded, so without a mask
    }
  }

  @Test
  void forward_givesTheKnownFirstValues() throws IOException {
    try (var backend = Devices.open("cpu");
        var encoder = SentenceEncoder.miniLm(backend, _ -> {});
        var _ = Scope.open()) {
      int[] tokens = tokenizer.encode("I chose that bank for");
      assertArrayEquals(new int[] {101, 1045, 4900, 2008, 2924, 2005, 102}, tokens);
      Tensor hidden =
          encoder.bert().forward(Tensors.on(backend).of(tokens, Shape.of(1, tokens.length)), null);
      assertEquals(Shape.of(1, 7, 384), hidden.shape());
      float[] first = Arrays.copyOf(hidden.toFloatArray(), 5);
      assertArrayEquals(
          new float[] {0.20769636f, -0.19866456f, -0.4001112f, 0.23231265f, -0.26186886f},
          first,
          (float) WITHIN);
    }
  }

  @Test
  void embed_isTheSameInAnyBatch() throws IOException {
    try (var backend = Devices.open("cpu");
        var encoder = SentenceEncoder.miniLm(backend, _ -> {})) {
      float[][] together = encoder.embed(SENTENCES);
      for (int i = 0; i < SENTENCES.size(); i++) {
        float[] alone = encoder.embed(List.of(SENTENCES.get(i)))[0];
        assertArrayEquals(alone, together[i], 1e-5f, SENTENCES.get(i));
        assertEquals(1, SentenceEncoder.similarity(alone, alone), 1e-5);
      }
    }
  }

  @Test
  void embed_putsLikeMeaningsTogether() throws IOException {
    try (var backend = Devices.open("cpu");
        var encoder = SentenceEncoder.miniLm(backend, _ -> {})) {
      float[][] vectors =
          encoder.embed(
              List.of(
                  "A man is eating food.",
                  "Somebody is having a meal.",
                  "The rocket was launched into orbit."));
      double like = SentenceEncoder.similarity(vectors[0], vectors[1]);
      double unlike = SentenceEncoder.similarity(vectors[0], vectors[2]);
      assertTrue(like > 0.5 && unlike < 0.2, like + " and " + unlike);
    }
  }

  @Test
  void forward_namesWrongShapes() {
    var config = new BertConfig(20, 8, 2, 1, 2, 8, 16, Unary.GELU_ERF, 1e-12);
    try (var backend = Devices.open("cpu");
        var bert = new Bert(config, Weights.on(backend, 1));
        var _ = Scope.open()) {
      Tensors device = Tensors.on(backend);
      Tensor tokens = device.of(new int[9], Shape.of(1, 9));
      var longer = assertThrows(ShapeException.class, () -> drop(bert.forward(tokens, null)));
      assertEquals(
          "bert: tokens not usable; got [1, 9]; need [B, T], T at most 8", longer.getMessage());
      Tensor few = device.of(new int[4], Shape.of(2, 2));
      Tensor mask = device.of(new boolean[2], Shape.of(1, 2));
      var other = assertThrows(ShapeException.class, () -> drop(bert.forward(few, mask)));
      assertTrue(String.valueOf(other.getMessage()).contains("mask [1, 2]"), other.getMessage());
    }
  }

  private static void drop(Tensor tensor) {
    tensor.close();
  }
}
