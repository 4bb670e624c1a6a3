package fornax.cli;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.data.CharTokenizer;
import fornax.data.DataException;
import fornax.data.Gpt2Tokenizer;
import fornax.data.HuggingFaceTokenizers;
import fornax.data.TextStream;
import fornax.data.TokenizedText;
import fornax.data.TokenizedText.Scan;
import fornax.data.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;

/// The texts that options name, as tokens, with a bar while long ones are read.
final class TrainingText {
  private TrainingText() {}

  /// The tokenizer that an option names, for a text of given characters: `char`, `gpt2`, or the
  /// folder or file of a `tokenizer.json`.
  ///
  /// @throws UserException if it is none of these
  /// @throws IOException if it cannot be read
  static Function<Scan, Tokenizer> tokenizer(String name) throws IOException {
    return switch (name) {
      case "char" -> scan -> CharTokenizer.of(scan.characters());
      case "gpt2" -> _ -> new Gpt2Tokenizer();
      default -> {
        Tokenizer read = read(Path.of(name));
        yield _ -> read;
      }
    };
  }

  private static Tokenizer read(Path path) throws IOException {
    if (Files.isRegularFile(path)) {
      return Tokenizer.load(path);
    }
    Tokenizer found = null;
    if (Files.isDirectory(path)) {
      Path file = path.resolve("tokenizer.json");
      found = Files.isRegularFile(file) ? Tokenizer.load(file) : HuggingFaceTokenizers.read(path);
    }
    if (found == null) {
      throw new UserException(
          "--tokenizer: unknown; got "
              + path
              + "; need char, gpt2, or a folder with a tokenizer.json, as fornax tokenizer train"
              + " makes it");
    }
    return found;
  }

  /// Reads `sources`.
  ///
  /// @param cache whether the tokens of a long text are kept for the next time
  /// @throws DataException if a text cannot be used
  @MustBeClosed
  static TokenizedText read(
      List<String> sources, Function<Scan, Tokenizer> tokenizer, boolean cache, Output output)
      throws IOException {
    TextStream text = TextStream.of(sources);
    TokenizedText.Options options = TokenizedText.Options.standard();
    try (var reading = new Meter(output, "reading", text.bytes());
        var encoding = new Meter(output, "making tokens", text.bytes())) {
      return TokenizedText.of(
          text,
          tokenizer,
          (cache ? options : options.withoutCache()).withProgress(reading::show, encoding::show));
    }
  }
}
