package fornax.train;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import fornax.optim.LossScale;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointsTest {
  @TempDir Path folder;
  private Checkpoints checkpoints;

  @BeforeEach
  void open() {
    checkpoints = new Checkpoints(folder.resolve("checkpoints"));
  }

  private static CheckpointState state(int step, double validationLoss) {
    Evaluation validation = Double.isNaN(validationLoss) ? null : new Evaluation(validationLoss, 9);
    return new CheckpointState(
        "Fornax",
        7,
        new TrainingState(
            step,
            step,
            step,
            List.of(1.5, Double.NaN),
            List.of(0.1, Double.POSITIVE_INFINITY),
            new Health(1, 7, 2, 3, 4.5, 6),
            new LossScale.State(1024, 12),
            Double.POSITIVE_INFINITY,
            validation,
            step));
  }

  private Path write(int step, double validationLoss) throws IOException {
    return checkpoints.write(
        state(step, validationLoss),
        into -> {
          byte[] weights = new byte[300];
          Arrays.fill(weights, (byte) step);
          Path _ = Files.write(into.model(), weights);
        });
  }

  private List<String> names() throws IOException {
    try (Stream<Path> all = Files.list(folder.resolve("checkpoints"))) {
      return all.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  /// Those from before there was F16 have no loss scale.
  @Test
  void stateOfAnOlderVersionIsRead() throws IOException {
    Path written = write(3, 1.25);
    Path file = written.resolve("state.json");
    ObjectNode state = (ObjectNode) RunFolder.JSON.readTree(file.toFile());
    ObjectNode training = (ObjectNode) state.get("training");
    assertNotNull(training.remove("lossScale"));
    assertNotNull(((ObjectNode) training.get("health")).remove("overflows"));
    Path _ = Files.writeString(file, state.toString());
    TrainingState old = Checkpoints.state(written).training();
    assertEquals(LossScale.State.INITIAL, old.lossScale());
    assertEquals(new Health(1, 0, 2, 3, 4.5, 6), old.health());
  }

  @Test
  void stateIsReadBackAsItWas() throws IOException {
    assertEquals(state(3, 0.1), Checkpoints.state(write(3, 0.1)));
    assertEquals(state(4, Double.NaN), Checkpoints.state(write(4, Double.NaN)));
  }

  @Test
  void anyChangedByteIsFoundAndItsFileNamed() throws IOException {
    Path checkpoint = write(10, Double.NaN);
    assertDoesNotThrow(() -> Checkpoints.verify(checkpoint));
    for (String name : List.of("model.safetensors", "state.json", "checksums.sha256")) {
      Path file = checkpoint.resolve(name);
      byte[] good = Files.readAllBytes(file);
      assertTrue(good.length > 100, name);
      for (int i = 0; i < good.length; i++) {
        byte[] bad = good.clone();
        bad[i] ^= (byte) (1 << i % 8);
        assertDamaged(checkpoint, file, bad);
      }
      assertDamaged(checkpoint, file, Arrays.copyOf(good, good.length - 1));
      assertDamaged(checkpoint, file, Arrays.copyOf(good, good.length + 1));
      assertDamaged(checkpoint, file, new byte[0]);
      Files.delete(file);
      assertDamaged(checkpoint, file, null);
      Path _ = Files.write(file, good);
    }
    assertDoesNotThrow(() -> Checkpoints.verify(checkpoint));
    assertDamaged(checkpoint, checkpoint.resolve("more.bin"), new byte[1]);
  }

  private static void assertDamaged(Path checkpoint, Path file, byte @Nullable [] contents)
      throws IOException {
    if (contents != null) {
      Path _ = Files.write(file, contents);
    }
    var e = assertThrows(DamagedCheckpointException.class, () -> Checkpoints.verify(checkpoint));
    String message = String.valueOf(e.getMessage());
    assertTrue(message.startsWith("checkpoint: " + file + " is damaged: "), message);
  }

  @Test
  void theLastAndTheBestAreKept() throws IOException {
    double[] losses = {3, 1, 2, Double.NaN, 2, 4};
    for (int i = 0; i < losses.length; i++) {
      checkpoints.keepLast(2, write(i + 1, losses[i]));
    }
    assertEquals(List.of("step-00000002", "step-00000005", "step-00000006"), names());
    Path best = checkpoints.best();
    assertNotNull(best);
    assertTrue(best.endsWith("step-00000002"));
    // Gone on from step 2: what came after counts no more among the last.
    checkpoints.keepLast(1, write(3, 5));
    assertEquals(
        List.of("step-00000002", "step-00000003", "step-00000005", "step-00000006"), names());
    checkpoints.clear();
    assertNull(checkpoints.best());
    assertNull(checkpoints.newest(false));
  }

  @Test
  void aFailedWriteLeavesWhatWasThere() throws IOException {
    Path before = write(1, 1);
    assertThrows(
        IOException.class,
        () ->
            checkpoints.write(
                state(1, 2),
                into -> {
                  Path _ = Files.write(into.model(), new byte[10]);
                  throw new IOException("disk full");
                }));
    assertEquals(List.of("step-00000001"), names());
    assertEquals(before, checkpoints.newest(false));
    // What a killed program left half written is no checkpoint, and is removed.
    Path half = Files.createDirectory(folder.resolve("checkpoints/.tmp-1"));
    Path _ = Files.write(half.resolve("model.safetensors"), new byte[10]);
    assertEquals(List.of(before), checkpoints.list());
    Path _ = write(2, 1);
    assertEquals(List.of("step-00000001", "step-00000002"), names());
  }

  @Test
  void sumsAreThoseOfSha256sum() throws IOException {
    Path checkpoint = write(1, 1);
    List<String> lines = Files.readAllLines(checkpoint.resolve("checksums.sha256"));
    // printf '\1%.0s' {1..300} | sha256sum
    assertEquals(
        "893c172baa019a7bc919e5b8255d39258346a9953f305d0b115076f2cc26cbed  model.safetensors",
        lines.getFirst());
    assertEquals(3, lines.size());
    assertTrue(lines.getLast().startsWith("# "), lines::toString);
  }
}
