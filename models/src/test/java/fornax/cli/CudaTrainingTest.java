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
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Trains on the software CUDA device as a user would on a card: the losses are the CPU's.
class CudaTrainingTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path SOFTWARE_DEVICE =
      Path.of("../cuda-backend/software-device").toAbsolutePath().normalize();
  private static final Path LIBRARIES =
      Path.of("../cuda-backend/target/software-device").toAbsolutePath().normalize();

  /// The most that a loss may differ from the CPU's in F32, and in BF16, TF32 from F32, BF16 from
  /// F32.
  private static final double TOLERANCE = 5e-6;

  private static final double BF16_TOLERANCE = 1e-3;
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
    Path err = folder.resolve("err.txt");
    ProcessBuilder builder =
        launcher.command(folder, options, arguments).redirectError(err.toFile());
    builder
        .environment()
        .merge("LD_LIBRARY_PATH", LIBRARIES.toString(), (before, ours) -> ours + ":" + before);
    Process process = builder.start();
    String out = text(process);
    assertEquals(0, process.waitFor(), Files.readString(err));
    return out;
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
    List<Double> losses = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve(device).resolve("metrics.jsonl"))) {
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

  @Test
  void smallGptInBf16_losesAsOnTheCpuAndNearlyAsInF32() throws IOException, InterruptedException {
    List<Double> full = losses("cpu", "f32");
    List<Double> cpu = losses("cpu", "bf16");
    List<Double> cuda = losses("cuda", "bf16");
    assertEquals(20, cuda.size());
    for (int step = 0; step < 20; step++) {
      assertEquals(cpu.get(step), cuda.get(step), BF16_TOLERANCE, "step " + step);
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
  @Test
  void graphs_changeNoBits() throws IOException, InterruptedException {
    String sizes = "--layers 1 --width 16 --heads 2 --context 8 --batch 2 --dropout 0.1 --steps 4";
    String reports = " --accumulate 3 --eval-every 2 --sample-every 0 --device cuda --out ";
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
  void resumedRun_goesOnBitForBit() throws IOException, InterruptedException {
    String sizes = "--layers 1 --width 16 --heads 2 --context 8 --batch 2 --dropout 0.1 --steps 4";
    String reports = " --eval-every 0 --sample-every 0 --checkpoint-every 2 --keep 3 --device cuda";
    String _ = run(("train " + sizes + reports + " --out straight").split(" "));
    Path weights = folder.resolve("straight").resolve("model.safetensors");
    byte[] straight = Files.readAllBytes(weights);
    Path last = folder.resolve("straight/checkpoints/step-00000004");
    byte[] moments = Files.readAllBytes(last.resolve("optimizer.safetensors"));
    // As if it had been killed after step 3.
    Path _ = Files.move(last, folder.resolve("last"));
    Files.delete(weights);
    String _ = run("train", "--resume", "straight");
    assertArrayEquals(straight, Files.readAllBytes(weights));
    assertArrayEquals(moments, Files.readAllBytes(last.resolve("optimizer.safetensors")));
  }

  @Test
  void recomputing_givesTheSameBitsInTheLessMemoryThatWasPlanned()
      throws IOException, InterruptedException {
    String sizes = "--layers 4 --width 16 --heads 2 --context 16 --batch 8 --dropout 0.1 --steps 2";
    String reports = " --eval-every 0 --sample-every 0 --precision bf16 --device cuda";
    long[] peaks = new long[2];
    byte[][] weights = new byte[2][];
    for (int again = 0; again < 2; again++) {
      String out = again == 1 ? " --out again --recompute" : " --out kept";
      String _ = run(("train " + sizes + reports + out).split(" "));
      Path run = folder.resolve(again == 1 ? "again" : "kept");
      weights[again] = Files.readAllBytes(run.resolve("model.safetensors"));
      String line = Files.readAllLines(run.resolve("metrics.jsonl")).get(1);
      peaks[again] = JSON.readTree(line).get("peakBytes").asLong();
    }
    assertArrayEquals(weights[0], weights[1]);
    assertTrue(peaks[1] < 0.7 * peaks[0], peaks[1] + " bytes at most; without, " + peaks[0]);
    for (int again = 0; again < 2; again++) {
      String plan =
          run(
              ("plan --json --preset nano --precision bf16 --gpu 24000000000 "
                      + sizes.replace(" --steps 2", "")
                      + (again == 1 ? " --recompute" : ""))
                  .split(" "));
      long planned = JSON.readTree(plan).get("peakBytes").asLong();
      assertEquals(peaks[again], planned, 0.05 * peaks[again]);
    }
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
