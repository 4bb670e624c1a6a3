package fornax.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.conformance.CaseResult;
import fornax.conformance.CaseResult.Status;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SelftestCommandTest {
  private static final CaseResult GOOD =
      new CaseResult("add", "F32", 0.0000005, 0.00001, Status.PASSED, "");
  private static final CaseResult BAD =
      new CaseResult("matmul.nn", "BF16", Double.POSITIVE_INFINITY, 0.01, Status.FAILED, "worst");
  private static final CaseResult SKIPPED =
      new CaseResult("conv2d", "F32", Double.NaN, Double.NaN, Status.SKIPPED, "not there");

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  private int report(boolean json, CaseResult... results) {
    var command =
        new SelftestCommand(
            new Output(
                new PrintStream(out, true, UTF_8), new PrintStream(err, true, UTF_8), () -> 0));
    command.json = json;
    return command.report("cpu", List.of(results));
  }

  @Test
  void json_hasOneEntryPerCase() {
    assertEquals(ExitCode.FAILED, report(true, GOOD, BAD, SKIPPED));
    assertEquals(
        "{\"device\":\"cpu\",\"passed\":false,\"cases\":["
            + "{\"op\":\"add\",\"dtype\":\"F32\",\"maxError\":5.0E-7,\"tolerance\":1.0E-5,\"passed\":true},"
            + "{\"op\":\"matmul.nn\",\"dtype\":\"BF16\",\"maxError\":null,\"tolerance\":0.01,\"passed\":false},"
            + "{\"op\":\"conv2d\",\"dtype\":\"F32\",\"maxError\":null,\"tolerance\":null,\"passed\":null,"
            + "\"skipped\":\"not there\"}]}",
        out.toString(UTF_8).strip());
    assertTrue(err.toString(UTF_8).contains("1 passed, 1 failed, 1 skipped"));
  }

  @Test
  void skippedCases_doNotFail() {
    assertEquals(ExitCode.OK, report(true, GOOD, SKIPPED));
    assertTrue(out.toString(UTF_8).contains("\"passed\":true,\"cases\""));
  }

  @Test
  void table_namesEachCase() {
    assertEquals(ExitCode.FAILED, report(false, GOOD, BAD, SKIPPED));
    assertEquals(
        """
        OP         DTYPE      ERROR  TOLERANCE
        add        F32      5.0e-07    1.0e-05  passed
        matmul.nn  BF16    Infinity    1.0e-02  failed  worst
        conv2d     F32            -          -  skipped  not there
        1 passed, 1 failed, 1 skipped
        """,
        out.toString(UTF_8).replaceAll(" *\\R", "\n"));
    assertEquals("", err.toString(UTF_8));
  }

  @Test
  void golden_mustBeThere(@TempDir Path folder) throws IOException {
    Cli.Result result = Cli.run("selftest", "--device", "reference", "--golden", folder.toString());
    assertEquals(ExitCode.BAD_INPUT, result.code());
    assertEquals(1, result.errLines().size(), result.err());
    assertTrue(result.err().contains("ops_golden.safetensors"), result.err());
    for (String name :
        List.of(
            "ops_golden.safetensors", "tiny_gpt2.safetensors", "tiny_gpt2_golden.safetensors")) {
      Path _ = Files.writeString(folder.resolve(name), "no tensors");
    }
    Cli.Result corrupt =
        Cli.run("selftest", "--device", "reference", "--golden", folder.toString());
    assertEquals(ExitCode.BAD_INPUT, corrupt.code());
    assertTrue(corrupt.err().contains("fornax: " + folder), corrupt.err());
  }
}
