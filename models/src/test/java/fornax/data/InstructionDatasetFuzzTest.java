package fornax.data;

import fornax.testkit.Fuzz;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/// Any bytes are pairs of prompts and answers, whose batches then hold tokens of the vocabulary
/// alone, or a [DataException].
class InstructionDatasetFuzzTest {
  private static final CharTokenizer TOKENIZER = CharTokenizer.of(" abcdefghij");
  private static final int CONTEXT = 8;
  private static final int ROWS = 2;

  static final Fuzz FUZZ =
      Fuzz.of("instructions", InstructionDatasetFuzzTest::read)
          .seed(
              """
              {"prompt":"a b","answer":"c"}
              {"prompt":"abcdefghij","answer":"de"}

              {"answer":"abc","prompt":"d","more":[1,{"x":null}]}
              """)
          .seed("{\"prompt\":\"a\",\"answer\":\"b\"}\r\n{\"prompt\":\"b\",\"answer\":\"a\"}")
          .words("prompt", "answer", "\n", "\ud83d\ude00", "\ufeff");

  private static void read(byte[] input) throws IOException {
    String text = Texts.decode("pairs.jsonl", input);
    var pairs = InstructionDataset.of("pairs.jsonl", text, TOKENIZER, 0, CONTEXT);
    int[] x = new int[ROWS * CONTEXT];
    int[] y = new int[ROWS * CONTEXT];
    RandomBatches training = pairs.trainingBatches(1, ROWS);
    for (int i = 0; i < 3; i++) {
      training.fill(i, x, y);
      requireTokens(x, y);
    }
    OrderedBatches validation = pairs.evaluationBatches(ROWS, 10);
    for (int i = 0; i < validation.count(); i++) {
      int _ = validation.fill(i, x, y);
      requireTokens(x, y);
    }
  }

  private static void requireTokens(int[] x, int[] y) {
    for (int i = 0; i < x.length; i++) {
      boolean target = y[i] == EvaluationBatches.IGNORED || isToken(y[i]);
      if (!isToken(x[i]) || !target) {
        throw new AssertionError(x[i] + " and " + y[i]);
      }
    }
  }

  private static boolean isToken(int number) {
    return number >= 0 && number < TOKENIZER.vocabularySize();
  }

  /// Jazzer's way in.
  public static void fuzzerTestOneInput(byte[] input) {
    FUZZ.check(input);
  }

  @Test
  void anyBytes_areReadOrRefused() {
    FUZZ.run();
  }
}
