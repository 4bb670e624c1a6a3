package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Trains on the software CUDA device as a user would on a card: the losses are the CPU's.
class CudaTrainingTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path SOFTWARE_DEVICE =
      Path.of("../cuda-backend/software-device").toAbsolutePath().normalize();
  private static final Path LIBRARIES =
      Path.of("../cuda-backend/target/software-device").toAbsolutePath().normalize();

  /// The most that a loss may differ from the CPU's in F32, and in 16 bits, TF32 from F32, 16 bits
  /// from F32.
  private static final double TOLERANCE = 5e-6;

  private static final double HALF_TOLERANCE = 1e-3;
  private static final double TF32_TOLERANCE = 2e-3;
  private static final double PRECISION_TOLERANCE = 2e-2;

  @TempDir Path folder;
  private Launcher launcher;

  @BeforeEach
  void prepare() throws IOException, InterruptedException {
    launcher = Launcher.in(Files.createDirectories(folder.resolve("program")));
    Process build =
        new ProcessBuilder(SOFTWARE_DEVICE.resolve("build").toString(), LIBRARIES.toString())
            .redirectErrorStream(true)
            .start();
    String log = text(build);
    if (build.waitFor() != 0) {
      missing("the software CUDA device does not build: " + log);
    }
    JsonNode devices = JSON.readTree(run("devices", "--json"));
    for (JsonNode device : devices) {
      if (device.get("backend").asText().equals("cuda") && !device.get("available").asBoolean()) {
        missing(device.get("reason").asText() + "; " + device.get("fix").asText());
      }
    }
  }

  private static void missing(String what) {
    if (Arrays.asList(System.getProperty("fornax.require", "").split(","))
        .contains("cuda-emulated")) {
      fail("required by -Dfornax.require but absent: " + what);
    }
    abort("absent: " + what);
  }

  private static String text(Process process) throws IOException {
    process.getOutputStream().close();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  // Standard output of a run on the software device.
  private String run(String... arguments) throws IOException, InterruptedException {
    return runWith("-Dfornax.cuda.code=ptx", arguments);
  }

  private String runWith(String options, String... arguments)
      throws IOException, InterruptedException {
    Process process = command(options, arguments).start();
    String out = text(process);
    assertEquals(0, process.waitFor(), Files.readString(folder.resolve("err.txt")));
    return out;
  }

  private ProcessBuilder command(String options, String... arguments) {
    ProcessBuilder builder =
        launcher
            .command(folder, options, arguments)
            .redirectError(folder.resolve("err.txt").toFile());
    builder
        .environment()
        .merge("LD_LIBRARY_PATH", LIBRARIES.toString(), (before, ours) -> ours + ":" + before);
    return builder;
  }

  private List<Double> losses(String device, String precision)
      throws IOException, InterruptedException {
    String _ =
        run(
            ("train --layers 2 --width 48 --heads 2 --context 32 --batch 4 --steps 20"
                    + " --eval-every 0 --sample-every 0 --dropout 0.1 --out "
                    + device
                    + " --device "
                    + device
                    + " --precision "
                    + precision)
                .split(" "));
    return losses(folder.resolve(device));
  }

  private static List<Double> losses(Path run) throws IOException {
    List<Double> losses = new ArrayList<>();
    for (String line : Files.readAllLines(run.resolve("metrics.jsonl"))) {
      JsonNode loss = JSON.readTree(line).get("loss");
      if (loss != null) {
        losses.add(loss.asDouble());
      }
    }
    return losses;
  }

  @Test
  void smallGpt_losesAsOnTheCpu() throws IOException, InterruptedException {
    List<Double> cpu = losses("cpu", "f32");
    List<Double> cuda = losses("cuda", "f32");
    assertEquals(20, cuda.size());
    assertTrue(cpu.getLast() < cpu.getFirst() - 0.1, cpu::toString);
    for (int step = 0; step < 20; step++) {
      assertEquals(cpu.get(step), cuda.get(step), TOLERANCE, "step " + step);
    }
    String device = recordedDevice("cuda");
    assertTrue(device.startsWith("cuda:0, software CUDA (test only)"), device);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bf16", "f16"})
  void smallGptIn16Bits_losesAsOnTheCpuAndNearlyAsInF32(String precision)
      throws IOException, InterruptedException {
    List<Double> full = losses("cpu", "f32");
    List<Double> cpu = losses("cpu", precision);
    List<Double> cuda = losses("cuda", precision);
    assertEquals(20, cuda.size());
    for (int step = 0; step < 20; step++) {
      assertEquals(cpu.get(step), cuda.get(step), HALF_TOLERANCE, "step " + step);
      assertEquals(full.get(step), cuda.get(step), PRECISION_TOLERANCE, "step " + step);
    }
  }

  @Test
  void smallGptInTf32_losesNearlyAsInF32() throws IOException, InterruptedException {
    List<Double> full = losses("cpu", "f32");
    List<Double> cuda = losses("cuda", "tf32");
    double difference = 0;
    for (int step = 0; step < 20; step++) {
      assertEquals(full.get(step), cuda.get(step), TF32_TOLERANCE, "step " + step);
      difference = Math.max(difference, Math.abs(full.get(step) - cuda.get(step)));
    }
    assertTrue(difference > TOLERANCE, "in TF32 the losses must differ a little from F32's");
  }

  /// A step with accumulation is several graphs: its passes and its update.
  @ParameterizedTest
  @ValueSource(strings = {"f32", "f16"})
  void graphs_changeNoBits(String precision) throws IOException, InterruptedException {
    String sizes = "--layers 1 --width 16 --heads 2 --context 8 --batch 2 --dropout 0.1 --steps 4";
    String reports =
        " --accumulate 3 --eval-every 2 --sample-every 0 --device cuda --precision "
            + precision
            + " --out ";
    for (String graphs : new String[] {"true", "false"}) {
      String _ =
          runWith(
              "-Dfornax.cuda.code=ptx -Dfornax.cuda.graphs=" + graphs,
              ("train " + sizes + reports + graphs).split(" "));
    }
    Path weights = Path.of("model.safetensors");
    assertArrayEquals(
        Files.readAllBytes(folder.resolve("false").resolve(weights)),
        Files.readAllBytes(folder.resolve("true").resolve(weights)));
  }

  @Test
  @Tag("slow")
  void killedRun_goesOnBitForBit() throws IOException, InterruptedException {
    String options =
        "--layers 1 --width 16 --heads 2 --context 8 --batch 2 --dropout 0.1 --accumulate 2"
            + " --steps 20 --eval-every 0 --sample-every 0 --checkpoint-every 5 --device cuda";
    String _ = run(("train " + options + " --out straight").split(" "));
    Path killed = folder.resolve("killed");
    Process process =
        command("-Dfornax.cuda.code=ptx", ("train " + options + " --out killed").split(" "))
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    while (process.isAlive() && !Files.exists(killed.resolve("checkpoints/step-00000010"))) {
      boolean _ = process.waitFor(1, TimeUnit.MILLISECONDS);
    }
    process.destroyForcibly();
    assertEquals(128 + 9, process.waitFor(), Files.readString(folder.resolve("err.txt")));
    assertFalse(Files.exists(killed.resolve("model.safetensors")), "it had ended");
    String _ = run("train", "--resume", "killed");
    ResumeTest.assertSameRun(folder.resolve("straight"), killed, 20);
  }

  @Test
  @Tag("slow")
  void adapters_learnAsOnTheCpu() throws IOException, InterruptedException {
    String reports = " --eval-every 0 --sample-every 0 --batch 4 --dropout 0.1";
    String sizes = "train --layers 2 --width 48 --heads 2 --context 32 --steps 5 --device cpu";
    String _ = run((sizes + reports + " --out base").split(" "));
    String options =
        "train --from base --data shakespeare --lora-rank 4 --lora-dropout 0.1 --lr 0.01"
            + " --steps 10";
    List<List<Double>> losses = new ArrayList<>();
    for (String device : List.of("cpu", "cuda")) {
      String _ = run((options + reports + " --out " + device + " --device " + device).split(" "));
      losses.add(losses(folder.resolve(device)));
    }
    assertEquals(10, losses.getLast().size());
    for (int step = 0; step < 10; step++) {
      assertEquals(
          losses.getFirst().get(step), losses.getLast().get(step), TOLERANCE, "step " + step);
    }
  }

  @Test
  @Tag("slow")
  void profile_tellsTheTimeOfEachOperation() throws IOException, InterruptedException {
    String said =
        run(
            ("train --layers 1 --width 16 --heads 2 --context 8 --batch 2 --steps 20 --eval-every 0"
                    + " --sample-every 0 --profile --device cuda --out profiled")
                .split(" "));
    assertTrue(said.contains("OPERATION "), said);
    assertTrue(said.lines().anyMatch(line -> line.matches("adamw +adamw adam_w +\\d+ .*")), said);
    assertTrue(said.lines().anyMatch(line -> line.startsWith("total ")), said);
  }

  @Test
  void recomputing_givesTheSameBitsInTheLessMemoryThatWasPlanned()
      throws IOException, InterruptedException {
    String sizes = "--layers 4 --width 16 --heads 2 --context 16 --batch 8 --dropout 0.1";
    long[] peaks = new long[2];
    byte[][] weights = new byte[2][];
    for (int again = 0; again < 2; again++) {
      String precision = " --precision bf16" + (again == 1 ? " --recompute" : "");
      peaks[again] = measuredAsPlanned("nano", sizes + precision);
      weights[again] = Files.readAllBytes(folder.resolve("measured").resolve("model.safetensors"));
    }
    assertArrayEquals(weights[0], weights[1]);
    assertTrue(peaks[1] < 0.7 * peaks[0], peaks[1] + " bytes at most; without, " + peaks[0]);
  }

  @Test
  @Tag("slow")
  void oddSizesInF32WithAccumulation_takeWhatWasPlanned() throws IOException, InterruptedException {
    String sizes = "--layers 3 --width 36 --heads 3 --context 13 --batch 5 --accumulate 2";
    assertTrue(measuredAsPlanned("nano", sizes) > 0);
  }

  @ParameterizedTest
  @Tag("slow")
  @CsvSource({
    "nano, --batch 12",
    "nano, --batch 12 --recompute",
    "nano, --batch 12 --precision bf16",
    "nano, --batch 12 --precision bf16 --recompute --accumulate 2",
    "baby, --batch 1 --context 64",
    "baby, --batch 1 --context 64 --precision bf16 --accumulate 2"
  })
  void presets_takeWhatWasPlanned(String preset, String options)
      throws IOException, InterruptedException {
    assertTrue(measuredAsPlanned(preset, options) > 0);
  }

  /// Trains for two steps; returns the most bytes that were live.
  private long measuredAsPlanned(String preset, String options)
      throws IOException, InterruptedException {
    String sizes = " --preset " + preset + " " + options;
    String reports = " --steps 2 --eval-every 0 --sample-every 0 --device cuda --out measured";
    String _ = run(("train" + sizes + reports).split(" "));
    String line = Files.readAllLines(folder.resolve("measured").resolve("metrics.jsonl")).get(1);
    long peak = JSON.readTree(line).get("peakBytes").asLong();
    String plan = run(("plan --json --gpu 24000000000" + sizes).split(" "));
    long planned = JSON.readTree(plan).get("peakBytes").asLong();
    assertEquals(peak, planned, 0.05 * peak);
    return peak;
  }

  private String recordedDevice(String run) throws IOException {
    Path config = folder.resolve(run).resolve("config.json");
    return JSON.readTree(config.toFile()).get("device").asText();
  }

  @Test
  void auto_doesNotTakeTheSoftwareDevice() throws IOException, InterruptedException {
    String _ =
        run(
            ("train --layers 1 --width 16 --heads 1 --context 8 --batch 1 --steps 1 --eval-every 0"
                    + " --sample-every 0 --out auto --device auto")
                .split(" "));
    String device = recordedDevice("auto");
    assertFalse(device.startsWith("cuda"), device);
  }
}
