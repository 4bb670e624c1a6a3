package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.array.ShapeException;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import fornax.testkit.GoldenFiles;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TextGeneratorTest {
  private static final GptConfig CONFIG = new GptConfig(11, 6, 2, 2, 16, 0.2);

  // The likeliest tokens without a cache; beyond the context the first quarter is dropped.
  private static int[] greedy(Gpt gpt, int[] prompt, int count) {
    int context = gpt.config().context();
    int[] all = Arrays.copyOf(prompt, prompt.length + count);
    int start = Math.max(0, prompt.length - context);
    for (int at = prompt.length; at < all.length; at++) {
      if (at - start > context) {
        start = at - (context - context / 4);
      }
      try (var _ = Scope.open()) {
        var window = Arrays.copyOfRange(all, start, at);
        var tokens = Tensors.on(gpt.backend()).of(window, Shape.of(1, window.length));
        all[at] = gpt.nextLogits(tokens).argmax(-1).toIntArray()[0];
      }
    }
    return Arrays.copyOfRange(all, prompt.length, all.length);
  }

  @Test
  void beyondTheContext_theFirstQuarterIsDropped() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(CONFIG, Weights.on(backend, 5))) {
      gpt.eval();
      for (int promptLength : new int[] {1, 6, 9}) {
        int[] prompt = new int[promptLength];
        Arrays.setAll(prompt, i -> (7 * i + 3) % 11);
        assertArrayEquals(
            greedy(gpt, prompt, 12), new TextGenerator(gpt).generate(prompt, 12, Sampling.GREEDY));
      }
    }
  }

  @Test
  void contextOfOneToken_writesAnyLength() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(CONFIG.withContext(1), Weights.on(backend, 5))) {
      gpt.eval();
      int[] text = new TextGenerator(gpt).generate(new int[] {3}, 5, Sampling.GREEDY);
      int last = 3;
      for (int token : text) {
        assertArrayEquals(greedy(gpt, new int[] {last}, 1), new int[] {token});
        last = token;
      }
    }
  }

  @Test
  void generate_stopsWhenToldAndRestoresTraining() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(CONFIG, Weights.on(backend, 5))) {
      long before = backend.memory().stats().live();
      List<Integer> seen = new ArrayList<>();
      new TextGenerator(gpt)
          .generate(
              new int[] {1},
              100,
              Sampling.seeded(3),
              token -> {
                seen.add(token);
                return seen.size() < 4;
              });
      assertEquals(4, seen.size());
      assertTrue(gpt.isTraining());
      assertEquals(before, backend.memory().stats().live());
      int[] again = new TextGenerator(gpt).generate(new int[] {1}, 4, Sampling.seeded(3));
      assertEquals(seen, Arrays.stream(again).boxed().toList());
    }
  }

  @ParameterizedTest
  @MethodSource("fornax.models.Devices#names")
  void cache_givesTheLogitsAndGreedyTokensOfAWholePass(String device) throws IOException {
    try (var golden = GoldenFiles.open("tiny_gpt2_golden.safetensors");
        var backend = Devices.open(device);
        var gpt = new Gpt(new GptConfig(97, 32, 2, 3, 48, 0), Weights.zeros(backend, 0))) {
      assertEquals("pt", gpt.load(GoldenFiles.copy("tiny_gpt2.safetensors")).get("format"));
      gpt.eval();
      int[] prompt = golden.ints("greedy.prompt");
      int count = 40; // beyond the context of 32
      int[] all = Arrays.copyOf(prompt, prompt.length + count);
      System.arraycopy(greedy(gpt, prompt, count), 0, all, prompt.length, count);
      assertArrayEquals(
          Arrays.copyOfRange(all, prompt.length, all.length),
          new TextGenerator(gpt).generate(prompt, count, Sampling.GREEDY));
      try (var cache = new GptCache(gpt, 1);
          var _ = Scope.open()) {
        int at = 0;
        for (int step : new int[] {5, 1, 1, 8, 1}) {
          var part = Arrays.copyOfRange(all, at, at + step);
          at += step;
          float[] cached =
              gpt.nextLogits(Tensors.on(backend).of(part, Shape.of(1, step)), cache).toFloatArray();
          var whole = Tensors.on(backend).of(Arrays.copyOf(all, at), Shape.of(1, at));
          assertArrayEquals(gpt.nextLogits(whole).toFloatArray(), cached, 2e-5f);
          assertEquals(at, cache.length());
        }
        var tooMany = Tensors.on(backend).of(new int[17], Shape.of(1, 17));
        assertThrows(ShapeException.class, () -> gpt.nextLogits(tooMany, cache));
      }
    }
  }

  @Test
  void severalSamples_areWrittenAtOnceAndEndOneByOne() {
    try (var backend = Devices.open("cpu");
        var gpt = new Gpt(CONFIG, Weights.on(backend, 5))) {
      long before = backend.memory().stats().live();
      List<Sampling> samplings =
          List.of(Sampling.seeded(3), Sampling.seeded(4), Sampling.seeded(3), Sampling.GREEDY);
      List<List<Integer>> texts = new ArrayList<>();
      samplings.forEach(_ -> texts.add(new ArrayList<>()));
      new TextGenerator(gpt)
          .generate(
              new int[] {1, 2},
              12,
              samplings,
              (sample, token) -> {
                texts.get(sample).add(token);
                return sample != 2 || texts.get(2).size() < 5;
              });
      assertEquals(before, backend.memory().stats().live());
      assertEquals(12, texts.get(0).size());
      assertEquals(texts.get(0).subList(0, 5), texts.get(2));
      assertNotEquals(texts.get(0), texts.get(1));
      for (int i : new int[] {0, 1, 3}) {
        int[] alone = new TextGenerator(gpt).generate(new int[] {1, 2}, 12, samplings.get(i));
        assertEquals(Arrays.stream(alone).boxed().toList(), texts.get(i));
      }
    }
  }

  @Test
  void repetitionPenalty_bringsOtherTokens() {
    try (var backend = Devices.open("cpu");
        var gpt = new Gpt(CONFIG.withContext(16), Weights.on(backend, 5))) {
      assertTrue(distinct(gpt, 1e9) > distinct(gpt, 1));
    }
  }

  private static long distinct(Gpt gpt, double penalty) {
    int[] tokens =
        new TextGenerator(gpt)
            .generate(new int[] {1}, 10, Sampling.GREEDY.withRepetitionPenalty(penalty));
    return Arrays.stream(tokens).distinct().count();
  }

  @Test
  void prompts_thatCannotBeAreErrors() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(CONFIG, Weights.on(backend, 5))) {
      var generator = new TextGenerator(gpt);
      var e =
          assertThrows(
              IllegalArgumentException.class,
              () -> generator.generate(new int[0], 1, Sampling.GREEDY));
      assertEquals("generate: empty prompt; need at least one token", e.getMessage());
      e =
          assertThrows(
              IllegalArgumentException.class,
              () -> generator.generate(new int[] {11}, 1, Sampling.GREEDY));
      assertEquals(
          "generate: token outside the vocabulary; got 11; need 0 <= token < 11", e.getMessage());
    }
  }
}
