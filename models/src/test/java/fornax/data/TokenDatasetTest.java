package fornax.data;

import static fornax.data.TextsTest.assertMessage;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TokenDatasetTest {
  private static int[] counting(int length) {
    return IntStream.range(0, length).toArray();
  }

  @ParameterizedTest
  @CsvSource({"1214976, 1093478, 121498", "41, 36, 5", "50, 45, 5", "59, 53, 6"})
  void theLastTenthIsForValidation(int tokens, int training, int validation) throws IOException {
    var dataset = TokenDataset.of(counting(tokens), 4);
    assertEquals(training, dataset.trainingTokens());
    assertEquals(validation, dataset.validationTokens());
    assertEquals((int) (0.9 * tokens), training);
  }

  @Test
  void aTooShortTextIsRefused() throws IOException {
    var e = assertThrows(DataException.class, () -> TokenDataset.of(counting(640), 64));
    assertMessage(
        e,
        "too short",
        "got 640 tokens, 64 in the last tenth",
        "need 65",
        "at least 641 tokens",
        "context of at most 63");
    assertEquals(65, TokenDataset.of(counting(641), 64).validationTokens());
    assertEquals(64, TokenDataset.of(counting(640), 63).validationTokens());
    assertThrows(DataException.class, () -> TokenDataset.of(counting(640), Integer.MAX_VALUE));
    for (int tokens = 0; tokens <= 10; tokens++) {
      int[] few = counting(tokens);
      var none = assertThrows(DataException.class, () -> TokenDataset.of(few, 1));
      assertFalse(String.valueOf(none.getMessage()).contains("context of at most"));
    }
    assertEquals(1, TokenDataset.of(counting(11), 1).context());
    assertThrows(IllegalArgumentException.class, () -> TokenDataset.of(counting(99), 0));
  }

  @Test
  void trainingWindowsAreAPureFunctionOfSeedAndNumber() throws IOException {
    var dataset = TokenDataset.of(counting(10_000), 8);
    var batches = dataset.trainingBatches(1337, 3);
    int[] inputs = new int[24];
    int[] targets = new int[24];
    batches.fill(1000, inputs, targets);
    for (int row = 0; row < 3; row++) {
      int begin = inputs[row * 8];
      assertTrue(begin >= 0 && begin + 8 < 9000);
      for (int i = 0; i < 8; i++) {
        assertEquals(begin + i, inputs[row * 8 + i]);
        assertEquals(begin + i + 1, targets[row * 8 + i]);
      }
    }
    int[] again = new int[24];
    dataset.trainingBatches(1337, 3).fill(1000, again, new int[24]);
    assertArrayEquals(inputs, again);
    dataset.trainingBatches(1337, 3).fill(1001, again, new int[24]);
    assertFalse(Arrays.equals(inputs, again));
    dataset.trainingBatches(1338, 3).fill(1000, again, new int[24]);
    assertFalse(Arrays.equals(inputs, again));

    int[] large = new int[96];
    dataset.trainingBatches(1337, 12).fill(250, large, new int[96]);
    assertArrayEquals(inputs, Arrays.copyOf(large, 24));
  }

  /// The windows must stay the same, or a resumed run would see others. The numbers come from
  /// SplitMix64 written once more, in Python.
  @Test
  void theWindowsStayTheSame() throws IOException {
    var batches = TokenDataset.of(counting(1_214_976), 64).trainingBatches(1337, 1);
    long[] begins = new long[4];
    for (int i = 0; i < 4; i++) {
      begins[i] = batches.begin(i);
    }
    assertArrayEquals(new long[] {211_374, 392_415, 786_407, 432_093}, begins);
  }

  @Test
  void trainingWindowsAreUniform() throws IOException {
    var batches = TokenDataset.of(counting(1_111), 9).trainingBatches(7, 1);
    int places = 999 - 9;
    var counts = new int[places];
    int draws = 990_000;
    for (int i = 0; i < draws; i++) {
      counts[(int) batches.begin(i)]++;
    }
    double mean = (double) draws / places;
    double chiSquare = 0;
    for (int count : counts) {
      chiSquare += (count - mean) * (count - mean) / mean;
    }
    // 989 degrees of freedom: mean 989, standard deviation 44.5; five of them either side.
    assertTrue(chiSquare > 766 && chiSquare < 1212, "chi-square " + chiSquare);
    assertNotEquals(0, counts[0]);
    assertNotEquals(0, counts[places - 1]);
  }

  @Test
  void seedsNearEachOtherGiveOtherStreams() throws IOException {
    var dataset = TokenDataset.of(counting(1_000_000), 4);
    Set<Long> begins = new HashSet<>();
    for (int seed = 0; seed < 10; seed++) {
      var batches = dataset.trainingBatches(seed, 1);
      for (int i = 0; i < 100; i++) {
        begins.add(batches.begin(i));
      }
    }
    assertTrue(begins.size() > 990, "distinct " + begins.size());
  }

  @ParameterizedTest
  @CsvSource({"11, 1, 1", "100, 2, 3", "641, 64, 1", "650, 7, 4", "1000, 9, 100", "1000, 99, 2"})
  void evaluationScoresEachTokenOnce(int tokens, int context, int rows) throws IOException {
    var dataset = TokenDataset.of(counting(tokens), context);
    int first = (int) dataset.trainingTokens();
    var batches = dataset.evaluationBatches(rows);
    int[] inputs = new int[rows * context];
    int[] targets = new int[rows * context];
    var seen = new int[tokens];
    long scored = 0;
    for (int batch = 0; batch < batches.count(); batch++) {
      int counted = batches.fill(batch, inputs, targets);
      int found = 0;
      for (int i = 0; i < targets.length; i++) {
        if (targets[i] != EvaluationBatches.IGNORED) {
          assertEquals(inputs[i] + 1, targets[i]);
          seen[targets[i]]++;
          found++;
        }
        assertTrue(inputs[i] >= first && inputs[i] < tokens - 1);
      }
      assertEquals(found, counted);
      assertTrue(counted > 0);
      scored += counted;
    }
    assertEquals(dataset.validationTokens() - 1, scored);
    for (int token = 0; token < tokens; token++) {
      assertEquals(token > first ? 1 : 0, seen[token]);
    }
  }

  @Test
  void aCapSpreadsTheWindows() throws IOException {
    var dataset = TokenDataset.of(counting(10_000), 10);
    var batches = dataset.evaluationBatches(2, 5);
    assertEquals(3, batches.count());
    int[] inputs = new int[20];
    int[] targets = new int[20];
    var begins = new int[6];
    int scored = 0;
    for (int batch = 0; batch < 3; batch++) {
      scored += batches.fill(batch, inputs, targets);
      begins[2 * batch] = inputs[0];
      begins[2 * batch + 1] = inputs[10];
    }
    assertEquals(50, scored);
    assertArrayEquals(new int[] {9000, 9200, 9400, 9600, 9800, 9800}, begins);
    assertEquals(100, dataset.evaluationBatches(1, 1000).count());
    assertEquals(1, dataset.evaluationBatches(1000).count());
  }

  @Test
  void aWholeTextCanBeEvaluated() throws IOException {
    var batches = EvaluationBatches.of(counting(11), 1, 5);
    assertEquals(2, batches.count());
    int[] inputs = new int[5];
    int[] targets = new int[5];
    assertEquals(5, batches.fill(0, inputs, targets));
    assertArrayEquals(new int[] {0, 1, 2, 3, 4}, inputs);
    var e = assertThrows(DataException.class, () -> EvaluationBatches.of(counting(5), 1, 5));
    assertMessage(e, "got 5 tokens", "need 6", "context of at most 4");
    assertThrows(DataException.class, () -> EvaluationBatches.of(new int[0], 1, 1));
    assertThrows(IllegalArgumentException.class, () -> EvaluationBatches.of(counting(5), 1, 0));
  }

  @Test
  void wrongArgumentsAreRefused() throws IOException {
    var dataset = TokenDataset.of(counting(1000), 4);
    var training = dataset.trainingBatches(0, 2);
    var evaluation = dataset.evaluationBatches(2);
    int[] right = new int[8];
    int[] wrong = new int[7];
    var e = assertThrows(IllegalArgumentException.class, () -> training.fill(0, right, wrong));
    assertMessage(e, "got arrays of 8 and 7", "need 8 for [2, 4]");
    assertThrows(IllegalArgumentException.class, () -> training.fill(-1, right, right.clone()));
    assertThrows(IllegalArgumentException.class, () -> evaluation.fill(0, wrong, right));
    assertThrows(
        IndexOutOfBoundsException.class,
        () -> evaluation.fill(evaluation.count(), right, right.clone()));
    assertThrows(IllegalArgumentException.class, () -> dataset.trainingBatches(0, 0));
    assertThrows(IllegalArgumentException.class, () -> dataset.evaluationBatches(0));
    assertThrows(IllegalArgumentException.class, () -> dataset.evaluationBatches(1, 0));
  }
}
