package fornax.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import fornax.array.Shape;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.optim.LossScale;
import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

/// Whatever a checkpoint's files hold, it is read or refused: `state.json`, `checksums.sha256`, and
/// the weights, of which any change is found.
class CheckpointsFuzzTest {
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("checkpoint", CheckpointsFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words("training", "losses", "health", "validation", "metricsBytes", "step", "  ", "# ");

  private static CheckpointState state() {
    return new CheckpointState(
        "Fornax",
        40,
        new TrainingState(
            5,
            10,
            5,
            List.of(1.5, Double.NaN),
            List.of(0.1, Double.POSITIVE_INFINITY),
            new Health(1, 7, 2, 3, 4.5, 5),
            new LossScale.State(1024, 12),
            0.5,
            new Evaluation(0.5, 9),
            5));
  }

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("run");
      var run = new RunFolder(scratch);
      Path written =
          run.checkpoints()
              .write(
                  state(),
                  into -> {
                    into.writeConfig(RunFolderFuzzTest.config());
                    SafeTensors.write(
                        into.model(),
                        Map.of("w", HostTensor.ofFloats(FileDType.F32, Shape.of(2), 1, 2)),
                        Map.of());
                  });
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      for (String name :
          List.of("state.json", "checksums.sha256", "model.safetensors", "config.json")) {
        files.put("checkpoints/step-00000005/" + name, Files.readAllBytes(written.resolve(name)));
      }
      files.put("metrics.jsonl", "{\"step\":1,\"loss\":2.5}\n".repeat(4).getBytes(UTF_8));
      run.checkpoints().clear();
      Files.delete(scratch);
      return FuzzFolder.of(files, 3);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    var run = new RunFolder(FOLDER.with(input));
    Checkpoints checkpoints = run.checkpoints();
    Path _ = checkpoints.best();
    for (Path checkpoint : checkpoints.list()) {
      CheckpointState state = Checkpoints.state(checkpoint);
      String _ = state.training().losses() + state.training().health().toString() + state.step();
      try (MetricsLog metrics = run.continueMetrics(state.metricsBytes())) {
        metrics.append(state);
      }
    }
    Path _ = checkpoints.newest(true);
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
