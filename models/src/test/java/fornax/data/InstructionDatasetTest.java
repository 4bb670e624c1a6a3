package fornax.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class InstructionDatasetTest {
  private static final CharTokenizer TOKENS = CharTokenizer.of("\nabcdefgh?"); // \n 0, ? 1, a 2 ...
  private static final int NONE = EvaluationBatches.IGNORED;

  private static InstructionDataset data(String text, int context) throws DataException {
    return InstructionDataset.of("pairs.jsonl", text, TOKENS, 0, context);
  }

  private static String line(String prompt, String answer) {
    return "{\"prompt\": \"" + prompt + "\", \"answer\": \"" + answer + "\"}\n";
  }

  @Test
  void rows_holdWholePairsWhoseAnswersCount() throws DataException {
    InstructionDataset data =
        data(line("a?", "b") + "\n" + line("c?", "dd") + line("e?", "f") + line("h?", "g"), 9);
    assertEquals(2 + 3 + 2, data.trainingTokens());
    assertEquals(2, data.validationTargets());
    int[] x = new int[9];
    int[] y = new int[9];
    // a ? b \n c ? d d \n, and then e ? f \n, which did not fit; the rest is filled up.
    var rows = new TreeSet<String>();
    for (int i = 0; i < 2; i++) {
      data.trainingBatches(5, 1).fill(i, x, y);
      boolean first = x[0] == 2;
      assertArrayEquals(
          first ? new int[] {2, 1, 3, 0, 4, 1, 5, 5, 0} : new int[] {6, 1, 7, 0, 0, 0, 0, 0, 0}, x);
      assertArrayEquals(
          first
              ? new int[] {NONE, 3, 0, NONE, NONE, 5, 5, 0, NONE}
              : new int[] {NONE, 7, 0, NONE, NONE, NONE, NONE, NONE, NONE},
          y);
      rows.add(Arrays.toString(x));
    }
    assertEquals(2, rows.size());
    OrderedBatches held = data.evaluationBatches(2, 99);
    assertEquals(1, held.count());
    int[] x2 = new int[18];
    int[] y2 = new int[18];
    assertEquals(2, held.fill(0, x2, y2)); // the second row only fills the batch
    assertArrayEquals(new int[] {9, 1, 8, 0, 0, 0, 0, 0, 0}, Arrays.copyOf(x2, 9));
    assertEquals(2, Arrays.stream(y2).filter(target -> target != NONE).count());
  }

  // Eight letters, the octal digits of `number`.
  private static String letters(int number) {
    var text = new StringBuilder();
    for (int shift = 21; shift >= 0; shift -= 3) {
      text.append("abcdefgh".charAt(number >> shift & 7));
    }
    return text.toString();
  }

  @Test
  void trainingBatches_showEachRowOnceInARoundAndAreAFunctionOfTheNumber() throws DataException {
    var text = new StringBuilder();
    for (int i = 0; i < 40; i++) { // 8 + 1 + 1 tokens each: a row
      text.append(line(letters(i), "a"));
    }
    InstructionDataset data = data(text.toString(), 9);
    RandomBatches batches = data.trainingBatches(1, 4);
    int[] x = new int[36];
    int[] y = new int[36];
    var seen = new TreeSet<String>();
    int rows = 36;
    for (int i = 0; i < rows / 4; i++) {
      batches.fill(i, x, y);
      for (int row = 0; row < 4; row++) {
        seen.add(Arrays.toString(Arrays.copyOfRange(x, 9 * row, 9 * row + 9)));
      }
    }
    int[] again = new int[36];
    batches.fill(3, x, y);
    data.trainingBatches(1, 4).fill(3, again, new int[36]);
    assertArrayEquals(x, again);
    data.trainingBatches(2, 4).fill(3, again, new int[36]);
    assertFalse(Arrays.equals(x, again));
    assertEquals(rows, seen.size());
    assertThrows(IllegalArgumentException.class, () -> batches.fill(-1, x, y));
  }

  @Test
  void longPrompt_losesItsBeginning() throws DataException {
    InstructionDataset data = data(line("abcdefgh?", "b") + line("a", "b"), 5);
    assertEquals(1, data.cutPrompts());
    int[] x = new int[5];
    int[] y = new int[5];
    data.trainingBatches(0, 1).fill(0, x, y);
    assertArrayEquals(new int[] {7, 8, 9, 1, 3}, x); // f g h ? b, and the end as a target
    assertArrayEquals(new int[] {NONE, NONE, NONE, 3, 0}, y);
  }

  private static void assertError(String expected, String text) {
    var error = assertThrows(DataException.class, () -> data(text, 5).context());
    String message = String.valueOf(error.getMessage());
    assertEquals(expected, message.substring(0, Math.min(expected.length(), message.length())));
  }

  @Test
  void badLines_areNamedByNumber() {
    String good = line("a", "b");
    assertError("data: pairs.jsonl line 2: not valid: ", good + "{\"prompt\": \n");
    assertError(
        "data: pairs.jsonl line 3: got no answer; need {\"prompt\": \"...\", \"answer\": \"...\"}",
        good + "\n{\"prompt\": \"a\"}\n");
    assertError("data: pairs.jsonl line 1: got prompt 3; need", "{\"prompt\": 3}");
    assertError("data: pairs.jsonl line 1: got an empty answer; need", line("a", ""));
    assertError("data: pairs.jsonl line 1: got no prompt; need", "[1]");
    assertError(
        "data: pairs.jsonl line 2: answer longer than the context; got 5 tokens; need at most 4",
        good + line("a", "bbbbb"));
    assertError("data: pairs.jsonl line 2: ", good + line("z", "b"));
    assertError("data: pairs.jsonl has 1 pairs; need at least 2", good);
  }
}
