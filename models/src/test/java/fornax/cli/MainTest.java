package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  @Test
  void noCommand_showsHelp() {
    Cli.Result result = Cli.run();
    assertEquals(ExitCode.OK, result.code());
    assertTrue(result.out().startsWith("Usage: fornax COMMAND"), result.out());
    assertEquals("", result.err());
    assertEquals(result.out(), Cli.run("--help").out());
  }

  @Test
  void help_fitsItsWidth() {
    for (String command :
        List.of(
            "", "train", "generate", "eval", "devices", "learn", "predict", "selftest", "bench")) {
      Cli.Result result = Cli.run((command + " --help").strip().split(" "));
      assertEquals(ExitCode.OK, result.code());
      assertTrue(result.out().startsWith("Usage: fornax " + command), result.out());
      assertTrue(result.out().contains("Options:"), result.out());
      for (String line : result.out().lines().toList()) {
        assertTrue(line.length() <= 100, line);
      }
    }
  }

  @Test
  void version_namesProgramAndJava() {
    Cli.Result result = Cli.run("--version");
    assertEquals(ExitCode.OK, result.code());
    assertTrue(result.out().matches("Fornax .* on Java \\d+\\R"), result.out());
  }

  @ParameterizedTest
  @CsvSource({
    "devcies, unknown argument devcies; did you mean devices?; see fornax --help",
    "devices x, unknown argument x; see fornax devices --help",
    "devices --jsn, unknown option --jsn; did you mean --json?; see fornax devices --help",
    "--steps 3, unknown option --steps; see fornax --help",
  })
  void badArguments_giveOneLine(String args, String want) {
    Cli.Result result = Cli.run(args.split(" "));
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertEquals("fornax: " + want + System.lineSeparator(), result.err());
    assertEquals("", result.out());
  }

  @Test
  void verbose_addsTheStackTrace() {
    Cli.Result result = Cli.run("devices", "--bogus", "--verbose");
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertTrue(result.err().contains("\tat "), result.err());
  }

  @ParameterizedTest
  @CsvSource({"24 132, 132", "0 0, 80", "'', 80", "x, 80"})
  void columnsOf_isTheSecondNumber(String size, int want) {
    assertEquals(want, Output.columnsOf(size));
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY})
  void json_hasNoNumberForNotFinite(double value) {
    assertEquals(
        "{\"loss\":null}",
        JsonLine.of(
            json -> {
              json.writeStartObject();
              JsonLine.number(json, "loss", value);
              json.writeEndObject();
            }));
  }

  @Test
  void devices_verbose_tellsWhatWasLookedFor() {
    Cli.Result result = Cli.run("devices", "--verbose");
    assertEquals(ExitCode.OK, result.code());
    assertTrue(result.out().startsWith(Cli.run("devices").out()), result.out());
    for (String library : List.of("libcuda.so.1", "libnvrtc.so.", "libcublas.so.12")) {
      assertTrue(result.out().contains(library), result.out());
    }
  }

  /// Where an interface allows no IOException, as that of a weight that is merged when it is asked
  /// for.
  @Test
  void uncheckedFaultOfAFile_isTheUsersToMend() {
    var err = new ByteArrayOutputStream();
    int code =
        Errors.report(
            new PrintStream(err, true, StandardCharsets.UTF_8),
            new UncheckedIOException(new IOException("weights: 1e300 does not fit")),
            false);
    assertEquals(ExitCode.BAD_INPUT, code);
    assertEquals(
        "fornax: weights: 1e300 does not fit", err.toString(StandardCharsets.UTF_8).strip());
  }
}
