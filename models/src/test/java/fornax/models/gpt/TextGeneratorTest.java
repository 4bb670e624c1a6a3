package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.models.Devices;
import fornax.nn.Weights;
import fornax.tensor.Scope;
import fornax.tensor.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class TextGeneratorTest {
  private static final GptConfig CONFIG = new GptConfig(11, 6, 2, 2, 16, 0.2);

  private static int greedy(Backend backend, Gpt gpt, int[] window) {
    try (var _ = Scope.open()) {
      var tokens = Tensors.on(backend).of(window, Shape.of(1, window.length));
      return gpt.nextLogits(tokens).argmax(-1).toIntArray()[0];
    }
  }

  @Test
  void generate_seesTheLastContextOfTokens() {
    try (var backend = Devices.open("reference");
        var gpt = new Gpt(CONFIG, Weights.on(backend, 5))) {
      gpt.eval();
      for (int promptLength : new int[] {1, 6, 9}) {
        int[] all = new int[promptLength + 8];
        for (int i = 0; i < promptLength; i++) {
          all[i] = (7 * i + 3) % 11;
        }
        for (int at = promptLength; at < all.length; at++) {
          all[at] = greedy(backend, gpt, Arrays.copyOfRange(all, Math.max(0, at - 6), at));
        }
        int[] tokens =
            new TextGenerator(gpt).generate(Arrays.copyOf(all, promptLength), 8, Sampling.GREEDY);
        assertArrayEquals(Arrays.copyOfRange(all, promptLength, all.length), tokens);
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
