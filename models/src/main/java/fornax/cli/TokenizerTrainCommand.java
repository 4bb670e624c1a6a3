package fornax.cli;

import fornax.data.BpeTokenizer;
import fornax.data.BpeTrainer;
import fornax.data.HuggingFaceTokenizers;
import fornax.data.TextStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;

@CommandLine.Command(
    name = "train",
    description = {
      "Learns a byte-level BPE, as GPT-2's, from a text: what stands side by side most often becomes"
          + " a token.",
      "",
      "Writes tokenizer.json, which Hugging Face's libraries read, with vocab.json and merges.txt."
          + " The same text gives the same tokenizer."
    },
    footer = {
      "",
      "Examples:",
      "  fornax tokenizer train --data notes.txt diary.txt --vocab 8192 --out my-tokenizer",
      "  fornax train --data notes.txt diary.txt --tokenizer my-tokenizer"
    })
final class TokenizerTrainCommand extends Command {
  private static final int VOCABULARY = 8192;

  private final Output output;

  @Option(
      names = "--data",
      paramLabel = "NAME|FILE",
      arity = "1..*",
      required = true,
      order = 1,
      description = "Texts to learn from: dickens, shakespeare, or UTF-8 files.")
  @Nullable List<String> data;

  @Option(
      names = "--vocab",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Count.class,
      description =
          "Tokens, with the 256 bytes and <|endoftext|>; fewer where the text is short. Default:"
              + " 8192.")
  int vocabulary = VOCABULARY;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      required = true,
      order = 3,
      description = "The folder to write, new or empty.")
  @Nullable Path out;

  TokenizerTrainCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    if (vocabulary < BpeTrainer.SMALLEST) {
      throw new UserException(
          "--vocab: too small; got "
              + vocabulary
              + "; need at least "
              + BpeTrainer.SMALLEST
              + ", the 256 bytes and "
              + BpeTrainer.END_OF_TEXT);
    }
    Path folder = required(out);
    ConvertCommand.requireNew("--out", folder);
    TextStream text = TextStream.of(required(data));
    var trainer = new BpeTrainer();
    long start = System.nanoTime();
    long[] bytes = {0};
    try (var meter = new Meter(output, "counting words", text.bytes())) {
      text.forEach(
          piece -> {
            trainer.count(piece);
            bytes[0] += piece.getBytes(StandardCharsets.UTF_8).length;
          },
          meter::show);
    }
    BpeTokenizer tokenizer;
    try (var meter = new Meter(output, "merging", vocabulary)) {
      tokenizer = trainer.train(vocabulary, meter::show);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    if (tokenizer.vocabularySize() < vocabulary) {
      output
          .err()
          .printf(
              Locale.ROOT,
              "note: the text gives %,d tokens; no other pair stands in it twice%n",
              tokenizer.vocabularySize());
    }
    var _ = Files.createDirectories(folder);
    HuggingFaceTokenizers.write(tokenizer, folder);
    output
        .out()
        .printf(
            Locale.ROOT,
            "%,d tokens from %,d bytes (%,d distinct words) in %.1f s, to %s%n",
            tokenizer.vocabularySize(),
            bytes[0],
            trainer.distinctWords(),
            seconds,
            folder);
    return ExitCode.OK;
  }
}
