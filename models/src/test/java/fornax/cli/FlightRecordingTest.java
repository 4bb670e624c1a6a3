package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FlightRecordingTest {
  @TempDir Path directory;

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "reference"})
  void recordedTraining_showsStepsOperationsCopiesAndAllocations(String device) throws IOException {
    Path file = directory.resolve("training.jfr");
    try (var recording = new Recording()) {
      recording.start();
      train(device, "run");
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = RecordingFile.readAllEvents(file);
    List<RecordedEvent> steps = named("fornax.Step", events);
    assertEquals(List.of(1, 2, 3), steps.stream().map(event -> event.getInt("step")).toList());
    List<String> metrics = Files.readAllLines(directory.resolve("run").resolve("metrics.jsonl"));
    for (RecordedEvent step : steps) {
      String loss = "\"step\":" + step.getInt("step") + ",\"loss\":" + step.getDouble("loss") + ",";
      assertTrue(metrics.stream().anyMatch(line -> line.contains(loss)), loss + " in " + metrics);
    }
    Set<String> operations =
        named("fornax.Operation", events).stream()
            .map(event -> event.getString("operation") + " " + event.getBoolean("backward"))
            .collect(Collectors.toSet());
    assertTrue(
        operations.containsAll(
            Set.of("linear false", "linear true", "selfAttention false", "selfAttention true")),
        operations.toString());
    assertTrue(operations.contains("AdamW false"), operations.toString());
    assertTrue(
        named("fornax.Operation", events).stream()
            .allMatch(event -> event.getString("device").startsWith(device)));
    // Inputs and targets of three steps, eight tokens of two sequences each.
    assertTrue(
        named("fornax.Copy", events).stream()
                .filter(event -> event.getBoolean("toDevice") && event.getLong("bytes") == 64)
                .count()
            >= 6);
    assertTrue(
        named("fornax.Allocation", events).stream()
            .anyMatch(event -> event.getString("owner").equals("ACTIVATIONS")));
  }

  @Test
  void jfrPrint_showsTheStepsOfARun() throws IOException, InterruptedException {
    Launcher launcher = Launcher.in(Files.createDirectories(directory.resolve("program")));
    Path file = directory.resolve("run.jfr");
    String options = "-XX:StartFlightRecording:filename=" + file;
    Cli.Result run = launcher.run(directory, options, training("cpu", "run"));
    assertEquals(ExitCode.OK, run.code(), run.err());
    String jfr = Path.of(System.getProperty("java.home"), "bin", "jfr").toString();
    Process print =
        new ProcessBuilder(jfr, "print", "--events", "fornax.Step", file.toString()).start();
    String shown = new String(print.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, print.waitFor());
    assertEquals(3, shown.lines().filter(line -> line.startsWith("fornax.Step {")).count(), shown);
    assertTrue(shown.contains("  step = 3"), shown);
  }

  @Test
  void withoutARecording_nothingIsMade() throws IOException {
    Path file = directory.resolve("nothing.jfr");
    try (var recording = new Recording()) {
      recording.disable("fornax.Operation");
      recording.disable("fornax.Copy");
      recording.disable("fornax.Allocation");
      recording.start();
      train("cpu", "quiet");
      recording.stop();
      recording.dump(file);
    }
    Set<String> names =
        RecordingFile.readAllEvents(file).stream()
            .map(event -> event.getEventType().getName())
            .filter(name -> name.startsWith("fornax."))
            .collect(Collectors.toSet());
    assertEquals(Set.of("fornax.Step"), names);
  }

  private static List<RecordedEvent> named(String name, List<RecordedEvent> events) {
    return events.stream().filter(event -> event.getEventType().getName().equals(name)).toList();
  }

  private void train(String device, String name) throws IOException {
    Cli.Result result = Cli.run(training(device, name));
    assertEquals(ExitCode.OK, result.code(), result.err());
  }

  private String[] training(String device, String name) throws IOException {
    Path text = directory.resolve("text.txt");
    Path _ = Files.writeString(text, "to be or not to be\n".repeat(40));
    return ("train --layers 1 --width 16 --heads 2 --context 8 --batch 2 --steps 3"
            + " --eval-every 0 --sample-every 0 --checkpoint-every 0 --device "
            + device
            + " --data "
            + text
            + " --out "
            + directory.resolve(name))
        .split(" ");
  }
}
