package fornax.train;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Bytes that once got through the readers of checkpoints, or brought them down.
class HostileCheckpointTest {
  private static final String STATE =
      "{\"version\":\"x\",\"metricsBytes\":0,\"training\":{\"step\":1,\"window\":2,\"randomStep\":1,"
          + "\"losses\":[],\"gradientNorms\":[],\"health\":{\"skipped\":0,\"spikes\":0,"
          + "\"lastSpike\":0,\"largestNorm\":0.0,\"largestNormStep\":0},\"bestLoss\":1.0,"
          + "\"validation\":null,\"validationStep\":0}}";

  @TempDir Path folder;
  private Path checkpoint;
  private Checkpoints checkpoints;

  @BeforeEach
  void makeOne() throws IOException {
    checkpoints = new Checkpoints(folder);
    checkpoint = Files.createDirectory(folder.resolve("step-00000001"));
    Path _ = Files.writeString(checkpoint.resolve("state.json"), STATE);
    assertEquals(1, Checkpoints.state(checkpoint).step());
  }

  private String refused(String state) throws IOException {
    Path _ = Files.writeString(checkpoint.resolve("state.json"), state);
    var e = assertThrows(RunFolderException.class, () -> Checkpoints.state(checkpoint));
    assertEquals(null, checkpoints.best()); // which looks into every one of them
    return String.valueOf(e.getMessage());
  }

  @Test
  void state_thatIsNoObject() throws IOException {
    assertTrue(refused("null").contains("no object"));
    assertTrue(refused("[]").contains("no object"));
    assertTrue(refused("").contains("no object"));
  }

  @Test
  void state_withoutTraining() throws IOException {
    String without = STATE.replaceFirst("\\{\"step.*", "null}");
    assertTrue(refused(without).contains("\"training\" is null"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"losses", "gradientNorms", "health", "version", "bestLoss"})
  void state_withoutAPartOfIt(String part) throws IOException {
    String value = ":(\\{[^}]*\\}|\\[\\]|\"x\"|1.0)";
    String without = STATE.replaceFirst("\"" + part + "\"" + value, "\"" + part + "\":null");
    assertTrue(refused(without).contains("\"" + part + "\" is null"));
  }

  @Test
  void state_withNumbersThatCannotBe() throws IOException {
    for (String name : List.of("metricsBytes", "step", "window", "randomStep")) {
      String message = refused(STATE.replaceFirst("\"" + name + "\":\\d", "\"" + name + "\":-1"));
      assertTrue(message.contains("got -1; need at least 0"), message);
    }
    assertTrue(refused(STATE.replace("\"losses\":[]", "\"losses\":[1.5]")).contains("1 losses"));
    assertTrue(refused(STATE.replace("\"losses\":[]", "\"losses\":[null]")).contains("losses"));
  }

  @Test
  void state_thatSaysAThingTwice() throws IOException {
    assertTrue(refused(STATE.replace("\"step\":1", "\"step\":1,\"step\":9")).contains("step"));
  }

  @Test
  void faultOfAnyLength_isToldInALine() throws IOException {
    String message = refused(STATE.replace("\"x\"", "{\"" + "a".repeat(100_000) + "\":1}"));
    assertTrue(message.length() < 1000 && message.lines().count() == 1, message);
  }

  private void writeSums(String lines) throws IOException, NoSuchAlgorithmException {
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(lines.getBytes(UTF_8));
    Path _ =
        Files.writeString(
            checkpoint.resolve("checksums.sha256"),
            lines + "# " + HexFormat.of().formatHex(hash) + "\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "x\n", "  \n", "0123  \n", "\n\n"})
  void sums_thatAreNoLinesOfSha256sum(String lines) throws Exception {
    writeSums(lines);
    var e = assertThrows(DamagedCheckpointException.class, () -> Checkpoints.verify(checkpoint));
    assertTrue(String.valueOf(e.getMessage()).contains(" is damaged: "));
  }

  @Test
  void strayFile_ofAnyName() throws Exception {
    writeSums("0".repeat(64) + "  state.json\n");
    Path _ = Files.writeString(checkpoint.resolve("a\nb"), "");
    assertThrows(DamagedCheckpointException.class, () -> Checkpoints.verify(checkpoint));
  }

  @Test
  void pipeOrFolderInAFilesPlace() throws Exception {
    writeSums("0".repeat(64) + "  state.json\n");
    Path strange = checkpoint.resolve("pipe");
    int code = new ProcessBuilder("mkfifo", strange.toString()).start().waitFor();
    assertEquals(0, code);
    for (int i = 0; i < 2; i++) {
      var e =
          assertTimeoutPreemptively(
              Duration.ofSeconds(20),
              () ->
                  assertThrows(
                      DamagedCheckpointException.class, () -> Checkpoints.verify(checkpoint)));
      assertTrue(String.valueOf(e.getMessage()).contains("pipe is damaged: it is no file"));
      Files.delete(strange);
      Path _ = Files.createDirectory(strange);
    }
  }

  @Test
  void newest_isByStep_pastEightDigits() throws IOException {
    for (String name : List.of("step-2000000000", "step-99999999", "step-100000000")) {
      Path _ = Files.createDirectory(folder.resolve(name));
    }
    List<String> names =
        checkpoints.list().stream().map(path -> path.getFileName().toString()).toList();
    assertEquals(
        List.of("step-00000001", "step-99999999", "step-100000000", "step-2000000000"), names);
  }

  @Test
  void config_withoutAPartOfIt() throws IOException {
    var run = new RunFolder(folder);
    run.writeConfig(RunFolderFuzzTest.config());
    assertEquals(RunFolderFuzzTest.config(), run.readConfig(RunConfig.class));
    String good = Files.readString(run.config());
    for (String part : List.of("model", "training", "data", "device", "optimizer", "reports")) {
      String bad =
          good.replaceFirst(
              "(?s)\"" + part + "\" : (\\{[^}]*\\}|\\[[^]]*\\]|\"[^\"]*\")",
              "\"" + part + "\" : null");
      assertTrue(!bad.equals(good), part);
      Path _ = Files.writeString(run.config(), bad);
      assertThrows(RunFolderException.class, () -> run.readConfig(RunConfig.class), part);
    }
  }
}
