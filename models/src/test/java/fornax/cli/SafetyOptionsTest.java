package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class SafetyOptionsTest {
  private static final String TRAIN =
      "train --layers 1 --width 16 --heads 2 --context 16 --batch 2 --steps 30 --eval-every 0"
          + " --sample-every 0 --checkpoint-every 0 --device cpu --warmup 0";

  @TempDir Path folder;

  private Cli.Result train(String... more) throws IOException {
    Path text = folder.resolve("text.txt");
    Path _ = Files.writeString(text, "the quick brown fox jumps over the lazy dog ".repeat(40));
    Stream<String> always =
        Stream.concat(
            Arrays.stream(TRAIN.split(" ", -1)),
            Stream.of("--data", text.toString(), "--out", folder.resolve("run").toString()));
    return Cli.run(Stream.concat(always, Stream.of(more)).toArray(String[]::new));
  }

  @ParameterizedTest
  @CsvSource({"1000, 1000", "2k, 2048", "500m, 524288000", "8G, 8589934592", "1t, 1099511627776"})
  void bytes_haveUnits(String text, long bytes) {
    assertEquals(bytes, new SafetyOptions.Bytes().convert(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0", "-5", "g", "1.5g", "9999999999t", "12x"})
  void otherBytes_areRefused(String text) {
    assertThrows(TypeConversionException.class, () -> new SafetyOptions.Bytes().convert(text));
  }

  @Test
  void aWatchedTraining_ends() throws IOException {
    Cli.Result result = train("--check-numerics", "--skip-nonfinite", "2", "--memory-limit", "1g");
    assertEquals(ExitCode.OK, result.code(), result.err());
    assertTrue(result.out().contains("training loss"), result.out());
  }

  @Test
  void aRateThatIsFarTooHigh_endsTheRunInOneLine() throws IOException {
    Cli.Result result = train("--lr", "1e30", "--clip", "0");
    assertEquals(ExitCode.FAILED, result.code(), result.err());
    assertTrue(result.err().contains("train: numbers that are not finite; got loss"), result.err());
  }

  @Test
  void aSmallLimit_isSaidInOneLine() throws IOException {
    Cli.Result result = train("--memory-limit", "80k");
    assertEquals(ExitCode.BAD_INPUT, result.code(), result.err());
    assertTrue(result.err().contains("out of memory on cpu"), result.err());
    assertTrue(result.err().contains("--verbose shows who holds what"), result.err());
  }

  @Test
  void aSmallLimit_isKeptByCommandsThatDoNotTrain() throws IOException {
    assertEquals(ExitCode.OK, train().code());
    String run = folder.resolve("run").toString();
    String text = folder.resolve("text.txt").toString();
    for (String[] command :
        new String[][] {
          {"eval", "--checkpoint", run, "--data", text},
          {"generate", "--checkpoint", run, "--prompt", "the", "--max-tokens", "5"}
        }) {
      for (String limit : new String[] {"18k", "1g"}) { // of 4,300 parameters
        Cli.Result result =
            Cli.run(
                Stream.concat(
                        Arrays.stream(command),
                        Stream.of("--device", "cpu", "--memory-limit", limit))
                    .toArray(String[]::new));
        boolean enough = limit.equals("1g");
        assertEquals(enough ? ExitCode.OK : ExitCode.BAD_INPUT, result.code(), result.err());
        assertTrue(enough || result.err().contains("memory"), result.err());
      }
    }
    Cli.Result refused = Cli.run("serve", "--checkpoint", run, "--memory-limit", "2k");
    assertEquals(ExitCode.BAD_INPUT, refused.code(), refused.err());
    assertTrue(refused.err().contains("memory"), refused.err());
  }
}
