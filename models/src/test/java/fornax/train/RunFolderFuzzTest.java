package fornax.train;

import fornax.models.gpt.GptConfig;
import fornax.testkit.Fuzz;
import fornax.testkit.FuzzFolder;
import fornax.train.TrainOptions.Checkpointing;
import fornax.train.TrainOptions.OptimizerOptions;
import fornax.train.TrainOptions.Reports;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

/// Any bytes are a run's `config.json` or a [RunFolderException].
class RunFolderFuzzTest {
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("config", RunFolderFuzzTest::read)
          .seeds(FOLDER.seeds())
          .words("format", "fornax-run", "model", "training", "optimizer", "layers", "vocabulary")
          .words("schedule", "cosine", "bf16", "data", "textSha256", "device", "matmul", "heads");

  static RunConfig config() {
    return new RunConfig(
        "nano",
        new GptConfig(7, 8, 1, 2, 16, 0.1),
        List.of("dickens"),
        RunConfig.sha256(""),
        TrainOptions.builder(20, 2, new OptimizerOptions(1e-3, 1e-4, 2, 0.9, 0.99, 0.1, 1))
            .reports(new Reports(0, 1, 0))
            .checkpointing(new Checkpointing(5, 2))
            .seed(42)
            .build(),
        "cpu");
  }

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("run");
      var run = new RunFolder(scratch);
      run.writeConfig(config());
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      files.put("config.json", Files.readAllBytes(run.config()));
      Files.delete(run.config());
      Files.delete(scratch);
      return FuzzFolder.of(files, 1);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    RunConfig config = RunFolder.open(FOLDER.with(input)).readConfig(RunConfig.class);
    String _ = config + config.model().toString() + config.data() + config.device().length();
    int length = config.preset().length() + config.textSha256().length();
    double rate = config.training().schedule().rate(length % config.training().steps());
    if (Double.isNaN(rate) || config.training().checkpointing().keep() < 1) {
      throw new AssertionError(config);
    }
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
