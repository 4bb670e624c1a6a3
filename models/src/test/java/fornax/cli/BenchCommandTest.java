package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchCommandTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--train nano --guard | --train and --guard exclude each other",
        "--train nano --quick | --train and --quick exclude each other; --steps 3 is quick",
        "Matmul --guard | REGEX chooses suites; got Matmul",
        "--train nano --json x | --json is for the suites",
        "--precision f32 | --precision needs --train",
        "--report x --train nano | --report measures everything; take it alone",
        "--steps 3 | --steps needs --train",
        "--accept | --accept needs --guard",
      })
  void optionsThatDoNotGoTogether_giveOneLine(String args, String want) {
    Cli.Result result = Cli.run(("bench " + args).split(" "));
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertEquals(
        "fornax: " + want + "; see fornax bench --help" + System.lineSeparator(), result.err());
    assertEquals("", result.out());
  }

  /// As in the archive. The runner's own tests are in its module.
  @Test
  void withoutTheBenchmarks_saysWhereTheyAre() {
    Cli.Result result = Cli.run("bench", "--threads", "3");
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertTrue(result.err().contains("need a checkout"), result.err());
    assertEquals(1, result.errLines().size());
    assertEquals(null, System.getProperty("fornax.threads"));
  }
}
