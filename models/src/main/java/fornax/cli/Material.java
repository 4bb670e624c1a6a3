package fornax.cli;

import fornax.data.BpeTokenizer;
import fornax.data.CharTokenizer;
import fornax.data.DataException;
import fornax.data.Gpt2Tokenizer;
import fornax.data.InstructionDataset;
import fornax.data.Texts;
import fornax.data.TokenDataset;
import fornax.data.TokenizedText;
import fornax.data.TokenizedText.Scan;
import fornax.data.Tokenizer;
import fornax.data.TrainingData;
import fornax.train.RunConfig;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;

/// What a model learns from.
///
/// @param data the batches
/// @param tokenizer that made them
/// @param sources the texts, by name
/// @param sha256 of these texts together
/// @param instructions whether they are JSON lines of prompts and answers
record Material(
    TrainingData data,
    Tokenizer tokenizer,
    List<String> sources,
    String sha256,
    boolean instructions) {
  private static final String END = "<|endoftext|>";
  private static final String LINE_END = "\n"; // where there is no such token

  /// Plain texts.
  ///
  /// @throws DataException if they are too short
  static Material of(TokenizedText text, List<String> sources, int context) throws DataException {
    return new Material(
        TokenDataset.of(text.tokens(), context),
        text.tokenizer(),
        sources,
        text.textSha256(),
        false);
  }

  /// Pairs of prompts and answers.
  ///
  /// @throws DataException if a line cannot be used
  /// @throws UserException if the tokenizer has nothing that could end an answer
  static Material ofInstructions(Path file, Tokenizer tokenizer, int context, PrintStream err)
      throws IOException {
    String text = Texts.read(file);
    InstructionDataset data =
        InstructionDataset.of(file.toString(), text, tokenizer, endOfAnswer(tokenizer), context);
    if (data.cutPrompts() > 0) {
      err.printf(
          "note: %d prompts are longer than the context of %d with their answers; their beginnings"
              + " are left out%n",
          data.cutPrompts(), context);
    }
    return new Material(data, tokenizer, List.of(file.toString()), RunConfig.sha256(text), true);
  }

  private static int endOfAnswer(Tokenizer tokenizer) {
    int special =
        switch (tokenizer) {
          case BpeTokenizer bpe -> bpe.special().getOrDefault(END, -1);
          case Gpt2Tokenizer _ -> Gpt2Tokenizer.END_OF_TEXT;
          case CharTokenizer _ -> -1;
        };
    if (special >= 0) {
      return special;
    }
    try {
      int[] newline = tokenizer.encode(LINE_END);
      if (newline.length == 1) {
        return newline[0];
      }
    } catch (IllegalArgumentException _) {
      // reported below
    }
    throw new UserException(
        "--instructions: nothing to end an answer with; got "
            + tokenizer
            + "; need one with "
            + END
            + " or a newline");
  }

  /// Chooses `tokenizer` for a text. Where it is one of characters that lacks some of the text's, a
  /// space takes the place of these, and `err` is told.
  static Function<Scan, Tokenizer> known(Tokenizer tokenizer, PrintStream err) {
    return scan -> {
      if (!(tokenizer instanceof CharTokenizer chars)) {
        return tokenizer;
      }
      String lacking = chars.lacking(scan.characters());
      if (lacking.isEmpty()) {
        return tokenizer;
      }
      err.printf(
          "note: the model does not know %s; a space takes %s place%n",
          lacking, lacking.codePointCount(0, lacking.length()) == 1 ? "its" : "their");
      return chars.withSpaceForUnknown();
    };
  }
}
