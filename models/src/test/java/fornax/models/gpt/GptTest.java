package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.optim.AdamW;
import fornax.optim.GradientClip;
import fornax.optim.ParameterGroup;
import fornax.optim.Schedule;
import fornax.tensor.GradMode;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class GptTest {
  private static final GptConfig SMALL = new GptConfig(11, 8, 2, 2, 16, 0);

  @TempDir private Path folder;

  static Stream<String> devices() {
    return Devices.names();
  }

  private static Tensor tokens(Backend backend, int rows, int length, int vocabulary) {
    int[] tokens = new int[rows * length];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = (i * i + 3 * i + i / length) % vocabulary;
    }
    return Tensors.on(backend).of(tokens, Shape.of(rows, length));
  }

  private static double[] parameter(Gpt gpt, String path) {
    return Objects.requireNonNull(gpt.parameters().get(path), path).toDoubleArray();
  }

  private static double deviation(double[] values) {
    return Math.sqrt(Arrays.stream(values).map(v -> v * v).average().orElseThrow());
  }

  @Test
  void initialValues_areGpt2s() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(new GptConfig(100, 64, 8, 2, 64, 0), Weights.on(backend, 3));
        var _ = Scope.open()) {
      for (String path :
          List.of(
              "tokens.weight",
              "positions.weight",
              "blocks.0.attention.qkv.weight",
              "blocks.7.feedForward.expand.weight")) {
        assertEquals(0.02, deviation(parameter(gpt, path)), 0.001, path);
      }
      for (String path :
          List.of("blocks.0.attention.projection.weight", "blocks.7.feedForward.contract.weight")) {
        assertEquals(0.02 / 4, deviation(parameter(gpt, path)), 0.0003, path);
      }
      gpt.parameters()
          .forEach(
              (path, p) -> {
                if (path.endsWith("bias")) {
                  assertEquals(0, p.abs().sum().item(), path);
                } else if (p.rank() == 1) {
                  assertEquals(p.elements(), p.sum().item(), path);
                }
              });
      double first = parameter(gpt, "blocks.0.attention.qkv.weight")[0];
      assertTrue(first != parameter(gpt, "blocks.1.attention.qkv.weight")[0], "other streams");
    }
  }

  @Test
  void storedNames_areHuggingFaces() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(SMALL, Weights.on(backend, 3))) {
      assertEquals(
          List.of(
              "wte.weight",
              "wpe.weight",
              "h.0.ln_1.weight",
              "h.0.ln_1.bias",
              "h.0.attn.c_attn.weight",
              "h.0.attn.c_attn.bias",
              "h.0.attn.c_proj.weight",
              "h.0.attn.c_proj.bias",
              "h.0.ln_2.weight",
              "h.0.ln_2.bias",
              "h.0.mlp.c_fc.weight",
              "h.0.mlp.c_fc.bias",
              "h.0.mlp.c_proj.weight",
              "h.0.mlp.c_proj.bias"),
          List.copyOf(gpt.storedParameters().keySet()).subList(0, 14));
      assertTrue(gpt.storedParameters().containsKey("ln_f.bias"));
      assertTrue(gpt.parameters().containsKey("blocks.1.feedForward.contract.bias"));
    }
  }

  @Test
  void load_givesBackTheSameModel() throws IOException {
    Path file = folder.resolve("model.safetensors");
    try (var backend = Devices.open("reference");
        var saved = new Gpt(SMALL, Weights.on(backend, 3));
        var loaded = new Gpt(SMALL, Weights.on(backend, 4));
        var other = new Gpt(SMALL.withContext(9), Weights.on(backend, 4));
        var _ = Scope.open()) {
      saved.save(file);
      Tensor tokens = tokens(backend, 1, 8, 11);
      float[] expected = saved.logits(tokens).toFloatArray();
      assertFalse(Arrays.equals(expected, loaded.logits(tokens).toFloatArray()));
      assertTrue(loaded.load(file).isEmpty());
      assertArrayEquals(expected, loaded.logits(tokens).toFloatArray());
      var e = assertThrows(IOException.class, () -> other.load(file));
      assertTrue(
          String.valueOf(e.getMessage()).contains("wpe.weight is [8, 16] where [9, 16] is needed"));
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void loss_isTheCrossEntropyOfTheLogits(String device) {
    try (var backend = Devices.open(device);
        var gpt = new Gpt(SMALL, Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 3, 8, 11);
      Tensor targets = tokens(backend, 3, 8, 7);
      double expected = gpt.logits(tokens).crossEntropy(targets).item();
      assertEquals(expected, gpt.loss(tokens, targets).item(), 1e-6);
      assertEquals(Math.log(11), expected, 0.05, "near uniform at first");
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void nextLogits_areTheLastOfTheLogits(String device) {
    try (var backend = Devices.open(device);
        var gpt = new Gpt(SMALL, Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 2, 5, 11);
      Tensor next = gpt.nextLogits(tokens);
      assertEquals(Shape.of(2, 11), next.shape());
      assertArrayEquals(
          gpt.logits(tokens).select(1, 4).toDoubleArray(), next.toDoubleArray(), 1e-6);
    }
  }

  @Test
  void inputs_ofWrongShapeAreErrors() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(SMALL, Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tooLong = tokens(backend, 2, 9, 11);
      var e = assertThrows(ShapeException.class, () -> gpt.logits(tooLong));
      assertEquals(
          "gpt: sequence longer than the context; got 9 in tokens [2, 9]; need at most 8",
          e.getMessage());
      Tensor flat = tooLong.flatten();
      e = assertThrows(ShapeException.class, () -> gpt.logits(flat));
      assertEquals("gpt: tokens of wrong rank; got [18]; need [B, T]", e.getMessage());
      Tensor tokens = tokens(backend, 2, 4, 11);
      Tensor targets = tokens(backend, 2, 5, 11);
      e = assertThrows(ShapeException.class, () -> gpt.loss(tokens, targets));
      assertEquals(
          "gpt: targets of another shape; got tokens [2, 4] and targets [2, 5]; need one shape [B,"
              + " T]",
          e.getMessage());
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void training_fitsABatchAndLeavesNothing(String device) {
    GptConfig config = new GptConfig(11, 16, 2, 2, 32, 0.1);
    try (var backend = Devices.open(device)) {
      long empty = backend.memory().stats().live();
      try (var gpt = new Gpt(config, Weights.on(backend, 3));
          var clip = GradientClip.byGlobalNorm(backend, 1);
          var optimizer =
              new AdamW(
                  ParameterGroup.decayMatrices(gpt.parameters(), 0.01), Schedule.constant(3e-3))) {
        long before = backend.memory().stats().live();
        double first = 0;
        double last = 0;
        List<Long> requests = new ArrayList<>();
        for (int step = 0; step < 80; step++) {
          gpt.generator().setStep(step);
          try (var _ = Scope.open()) {
            Tensor loss = gpt.loss(tokens(backend, 2, 16, 11), tokens(backend, 2, 16, 5));
            loss.backward();
            optimizer.step(clip.scale(optimizer.parameters()));
            optimizer.zeroGrad();
            last = loss.item();
          }
          first = step == 0 ? last : first;
          requests.add(backend.memory().stats().systemRequests());
          assertEquals(before, backend.memory().stats().live(), "step " + step);
        }
        assertEquals(requests.get(2), requests.get(79), "requests to the system");
        assertEquals(Math.log(11), first, 0.1);
        gpt.eval();
        try (var _ = GradMode.noGrad();
            var _ = Scope.open()) {
          last = gpt.loss(tokens(backend, 2, 16, 11), tokens(backend, 2, 16, 5)).item();
        }
        assertTrue(last < 0.1, "overfits: " + last);
        assertEquals(before, backend.memory().stats().live());
      }
      assertEquals(empty, backend.memory().stats().live());
    }
  }

  @Test
  void nano_fitsABatchOnTheCpu() {
    GptConfig config = GptConfig.preset("nano").withVocabulary(77);
    try (var backend = Devices.open("cpu");
        var gpt = new Gpt(config, Weights.on(backend, 1337));
        var clip = GradientClip.byGlobalNorm(backend, 1);
        var optimizer =
            new AdamW(
                ParameterGroup.decayMatrices(gpt.parameters(), 0.1), Schedule.constant(3e-3))) {
      double loss = 0;
      for (int step = 0; step < 60; step++) {
        try (var _ = Scope.open()) {
          Tensor tokens = tokens(backend, 2, 65, 71);
          Tensor value = gpt.loss(tokens.slice(1, 0, 64), tokens.slice(1, 1, 65));
          value.backward();
          optimizer.step(clip.scale(optimizer.parameters()));
          optimizer.zeroGrad();
          loss = value.item();
        }
        if (step == 0) {
          assertEquals(Math.log(77), loss, 0.1);
        }
      }
      assertTrue(loss < 0.05, "overfits: " + loss);
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void forward_keepsNothingWithoutATape(String device) {
    try (var backend = Devices.open(device);
        var gpt = new Gpt(SMALL, Weights.on(backend, 3));
        var _ = GradMode.noGrad();
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 2, 8, 11);
      long before = backend.memory().stats().live();
      Tensor logits = gpt.logits(tokens);
      assertEquals(before + logits.array().bytes(), backend.memory().stats().live());
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void loss_isGivenUpWithItsActivations(String device) {
    try (var backend = Devices.open(device);
        var gpt = new Gpt(SMALL, Weights.on(backend, 3))) {
      long before = backend.memory().stats().live();
      try (var _ = Scope.open()) {
        Tensor loss = gpt.loss(tokens(backend, 2, 8, 11), tokens(backend, 2, 8, 11));
        assertTrue(backend.memory().stats().live() > before + loss.array().bytes());
      }
      assertEquals(before, backend.memory().stats().live(), "without a backward pass");
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void loss_holdsWhatBackwardNeedsAndNoMore(String device) {
    try (var backend = Devices.open(device);
        var gpt = new Gpt(SMALL, Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 2, 8, 11);
      Tensor targets = tokens(backend, 2, 8, 7);
      long before = backend.memory().stats().live();
      Tensor loss = gpt.loss(tokens, targets);
      long held = backend.memory().stats().live() - before;
      long rows = 2 * 8;
      long c = SMALL.width();
      // Floats a row. Of a block: both norms' results, mean and deviation (2·(C + 2)), queries,
      // keys and values (3·C), the heads' results and the log-sum-exps (C + H), both residual
      // sums (2·C), and the feed-forward layers' insides before and after GELU (8·C).
      long block = 2 * (c + 2) + 3 * c + c + SMALL.heads() + 2 * c + 8 * c;
      // Outside: the embeddings (C), the last norm's mean and deviation, and the loss's gradient
      // (C), which the loss works out with its own part of the token table's.
      long outside = c + 2 + c;
      long table = SMALL.vocabulary() * c;
      long scalars = 1; // the loss
      assertEquals(
          Float.BYTES * (rows * (SMALL.layers() * block + outside) + table + scalars), held);
      loss.backward();
      gpt.zeroGrad();
      assertEquals(before + Float.BYTES, backend.memory().stats().live(), "the loss is left");
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void dropout_dependsOnSeedAndStep(String device) {
    try (var backend = Devices.open(device);
        var gpt = new Gpt(SMALL.withDropout(0.3), Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 2, 8, 11);
      gpt.generator().setStep(5);
      double a = gpt.loss(tokens, tokens).item();
      gpt.generator().setStep(6);
      double b = gpt.loss(tokens, tokens).item();
      gpt.generator().setStep(5);
      assertEquals(a, gpt.loss(tokens, tokens).item());
      assertTrue(a != b);
      gpt.eval();
      double c = gpt.loss(tokens, tokens).item();
      assertEquals(c, gpt.loss(tokens, tokens).item());
      assertTrue(a != c && b != c);
    }
  }

  @Test
  void dropout_takesEmbeddingsAttentionWeightsAndResults() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(SMALL.withDropout(0.3), Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 2, 8, 11);
      Tensor _ = gpt.loss(tokens, tokens);
      assertEquals(1 + 3 * SMALL.layers(), gpt.generator().nextStream());
    }
  }

  @Test
  void gradients_accumulateOverMicroBatches() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(SMALL, Weights.on(backend, 3));
        var _ = Scope.open()) {
      Tensor tokens = tokens(backend, 4, 8, 11);
      Tensor targets = tokens(backend, 4, 8, 7);
      gpt.loss(tokens, targets).backward();
      List<double[]> whole = new ArrayList<>();
      gpt.parameters().values().forEach(p -> whole.add(gradient(p)));
      gpt.zeroGrad();
      for (int part = 0; part < 2; part++) {
        Tensor some = tokens.slice(0, 2 * part, 2 * part + 2);
        gpt.loss(some, targets.slice(0, 2 * part, 2 * part + 2)).mul(0.5).backward();
      }
      int i = 0;
      for (var entry : gpt.parameters().entrySet()) {
        assertArrayEquals(whole.get(i++), gradient(entry.getValue()), 1e-6, entry.getKey());
      }
    }
  }

  private static double[] gradient(Tensor parameter) {
    return Objects.requireNonNull(parameter.grad()).toDoubleArray();
  }
}
