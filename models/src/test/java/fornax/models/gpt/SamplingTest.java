package fornax.models.gpt;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class SamplingTest {
  private static final int DRAWS = 20_000;

  // probabilities 0.1, 0.4, 0.2, 0.3
  private static final float[] LOGITS = {
    (float) Math.log(0.1), (float) Math.log(0.4), (float) Math.log(0.2), (float) Math.log(0.3)
  };

  private static int[] counts(Sampling sampling) {
    int[] counts = new int[LOGITS.length];
    for (int i = 0; i < DRAWS; i++) {
      counts[sampling.choose(LOGITS, i)]++;
    }
    return counts;
  }

  private static void assertFrequencies(Sampling sampling, double... probabilities) {
    int[] counts = counts(sampling);
    for (int i = 0; i < counts.length; i++) {
      double p = probabilities[i];
      double deviation = Math.sqrt(DRAWS * p * (1 - p));
      assertEquals(DRAWS * p, counts[i], 5 * deviation, "token " + i);
    }
  }

  @Test
  void choose_followsTheProbabilities() {
    assertFrequencies(Sampling.seeded(1), 0.1, 0.4, 0.2, 0.3);
  }

  @Test
  void temperature_sharpensAndFlattens() {
    double sum = 0.01 + 0.16 + 0.04 + 0.09;
    assertFrequencies(
        Sampling.seeded(1).withTemperature(0.5), 0.01 / sum, 0.16 / sum, 0.04 / sum, 0.09 / sum);
    assertFrequencies(Sampling.seeded(1).withTemperature(1e9), 0.25, 0.25, 0.25, 0.25);
  }

  @Test
  void topK_keepsTheLikeliest() {
    assertFrequencies(Sampling.seeded(1).withTopK(2), 0, 4 / 7.0, 0, 3 / 7.0);
    assertFrequencies(Sampling.seeded(1).withTopK(9), 0.1, 0.4, 0.2, 0.3);
    assertFrequencies(Sampling.seeded(1).withTopK(1), 0, 1, 0, 0);
  }

  @Test
  void topP_keepsTheSmallestSetThatReachesIt() {
    assertFrequencies(Sampling.seeded(1).withTopP(0.65), 0, 4 / 7.0, 0, 3 / 7.0);
    assertFrequencies(Sampling.seeded(1).withTopP(0.75), 0, 4 / 9.0, 2 / 9.0, 3 / 9.0);
    assertFrequencies(Sampling.seeded(1).withTopP(0.01), 0, 1, 0, 0);
  }

  @Test
  void topP_stopsWhereItIsReached() {
    for (int i = 0; i < 100; i++) {
      int token = Sampling.seeded(1).withTopP(0.5).choose(new float[4], i);
      assertTrue(token < 2, "half of four equals: " + token);
    }
  }

  @Test
  void topP_countsWithinWhatTopKLeft() {
    assertFrequencies(Sampling.seeded(1).withTopK(2).withTopP(0.5), 0, 1, 0, 0);
  }

  @Test
  void greedy_takesTheFirstOfEquals() {
    assertEquals(1, Sampling.GREEDY.choose(new float[] {0, 2, 1, 2}, 0));
    assertEquals(
        0, Sampling.GREEDY.choose(new float[] {-1, Float.NEGATIVE_INFINITY}, 0), "masked token");
  }

  @Test
  void draws_dependOnSeedAndNumberAlone() {
    Sampling a = Sampling.seeded(1);
    Set<Integer> numbers = new TreeSet<>();
    int differ = 0;
    for (int i = 0; i < 100; i++) {
      assertEquals(a.choose(LOGITS, i), Sampling.seeded(1).choose(LOGITS, i));
      differ += a.choose(LOGITS, i) == Sampling.seeded(2).choose(LOGITS, i) ? 0 : 1;
      numbers.add(a.choose(LOGITS, i));
    }
    assertTrue(differ > 20, "another seed: " + differ);
    assertEquals(4, numbers.size());
  }

  @Test
  void choose_neverTakesAMaskedToken() {
    float[] masked = {0, Float.NEGATIVE_INFINITY, 0};
    for (int i = 0; i < 1000; i++) {
      assertTrue(Sampling.seeded(3).choose(masked, i) != 1);
    }
  }

  @Test
  void choose_rejectsLogitsWithoutAMeaning() {
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Sampling.GREEDY.choose(new float[] {0, Float.NaN}, 0));
    assertEquals("sample: logit is NaN; got token 1", e.getMessage());
    assertThrows(
        IllegalArgumentException.class,
        () -> Sampling.GREEDY.choose(new float[] {0, Float.POSITIVE_INFINITY}, 0));
    assertThrows(
        IllegalArgumentException.class,
        () -> Sampling.GREEDY.choose(new float[] {Float.NEGATIVE_INFINITY}, 0));
  }

  @Test
  void settings_thatMakeNoSenseAreErrors() {
    Sampling sampling = Sampling.seeded(1);
    assertThrows(IllegalArgumentException.class, () -> sampling.withTemperature(-0.1));
    assertThrows(IllegalArgumentException.class, () -> sampling.withTemperature(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> sampling.withTopK(-1));
    assertThrows(IllegalArgumentException.class, () -> sampling.withTopP(0));
    assertThrows(IllegalArgumentException.class, () -> sampling.withTopP(1.1));
  }

  @Test
  void repetitionPenalty_dividesWhatIsPositiveAndMultipliesWhatIsNot() {
    Sampling sampling = Sampling.GREEDY.withRepetitionPenalty(2);
    BitSet seen = new BitSet();
    seen.set(0);
    seen.set(2);
    float[] logits = {4, 1, -1, -1.5f};
    assertEquals(0, sampling.choose(logits, 0, seen));
    assertArrayEquals(new float[] {2, 1, -2, -1.5f}, logits);
    assertEquals(1, sampling.choose(new float[] {4, 3, 0, 0}, 0, seen));
    assertThrows(IllegalArgumentException.class, () -> Sampling.GREEDY.withRepetitionPenalty(0));
  }
}
