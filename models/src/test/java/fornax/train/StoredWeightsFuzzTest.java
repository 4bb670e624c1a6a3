package fornax.train;

import fornax.array.Shape;
import fornax.io.FileDType;
import fornax.io.HostTensor;
import fornax.io.SafeTensors;
import fornax.models.gpt.Gpt;
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

/// Any bytes are adapters of the weights that they were trained on, or an [IOException]: their own
/// file, the run's `config.json` that names the base, and the base's weights.
class StoredWeightsFuzzTest {
  private static final String WEIGHT = "h.0.mlp.c_fc.weight";
  private static final FuzzFolder FOLDER = folder();

  static final Fuzz FUZZ =
      Fuzz.of("adapters", StoredWeightsFuzzTest::read)
          .seeds(FOLDER.seeds())
          .allocating(2 << 20, 64) // two configs and two files of weights are read
          .words("adapters", "rank", "alpha", "dropout", "base", "baseSha256", "..", "\\u0000")
          .words("dtype", "shape", "data_offsets", "F16", "F64", "BF16", "I64", "BOOL");

  private static HostTensor floats(float[] values, long... shape) {
    return HostTensor.ofFloats(FileDType.F32, Shape.of(shape), values);
  }

  private static FuzzFolder folder() {
    try {
      Path scratch = Files.createTempDirectory("runs");
      var base = new RunFolder(Files.createDirectory(scratch.resolve("base")));
      var run = new RunFolder(Files.createDirectory(scratch.resolve("run")));
      RunConfig config = RunFolderFuzzTest.config();
      base.writeConfig(config);
      SafeTensors.write(
          base.model(),
          Map.of(
              "b",
              floats(new float[] {7}, 1),
              WEIGHT,
              floats(new float[] {1, 2, 3, 4, 5, 6}, 2, 3)),
          Map.of());
      String sum;
      try (var weights = StoredWeights.open(base.path())) {
        sum = weights.sha256();
      }
      run.writeConfig(
          new RunConfig(
              config.preset(),
              config.model(),
              config.data(),
              config.textSha256(),
              config.training(),
              config.device(),
              config.matmul(),
              false,
              List.of(new LoraConfig(1, 2, 0.1, "base", sum))));
      SafeTensors.write(
          run.adapter(),
          Map.of(
              Gpt.adapterName(WEIGHT, "a"),
              floats(new float[] {1, 2}, 2, 1),
              Gpt.adapterName(WEIGHT, "b"),
              floats(new float[] {1, 2, 3}, 1, 3)),
          Map.of());
      SequencedMap<String, byte[]> files = new LinkedHashMap<>();
      for (Path file : List.of(run.adapter(), run.config(), base.model(), base.config())) {
        files.put(scratch.relativize(file).toString(), Files.readAllBytes(file));
        Files.delete(file);
      }
      Files.delete(base.path());
      Files.delete(run.path());
      Files.delete(scratch);
      return FuzzFolder.of(files, 3);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void read(byte[] input) throws IOException {
    try (var weights = StoredWeights.open(FOLDER.with(input).resolve("run"))) {
      for (HostTensor tensor : weights.tensors().values()) {
        float[] _ = tensor.floats();
      }
      String _ = weights.sha256();
    } catch (UncheckedIOException e) { // of a merged weight, which StoredWeights.load turns back
      throw e.getCause();
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
