package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Settings;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The kernels give the same bits at any width of vectors, without them, interpreted, compiled by
/// C1, and while C2 takes over.
class KernelTiersTest {
  private static final String VECTORS = "--add-modules=jdk.incubator.vector";

  @Test
  void bitsDoNotDependOnTheCompilerNorOnTheVectors()
      throws IOException, InterruptedException, URISyntaxException {
    String optimised = digest("400", VECTORS);
    for (String width : new String[] {"16", "32"}) {
      assertEquals(optimised, digest("400", VECTORS, "-XX:MaxVectorSize=" + width), width);
    }
    assertEquals(optimised, digest("20", "-Dfornax.vector=false"), "scalar");
    assertEquals(optimised, digest("2", VECTORS, "-XX:TieredStopAtLevel=1"), "C1");
    assertEquals(optimised, digest("1", VECTORS, "-Xint"), "interpreted");
  }

  private static String digest(String rounds, String... options)
      throws IOException, InterruptedException, URISyntaxException {
    var command = new ArrayList<String>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(options));
    command.add("-cp");
    command.add(
        String.join(
            File.pathSeparator,
            folder(Matmul.class),
            folder(KernelDigest.class),
            folder(Settings.class)));
    command.add(KernelDigest.class.getName());
    command.add(rounds);
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor());
    assertTrue(output.strip().matches("[0-9a-f]{64}"), () -> "more than one digest: " + output);
    return output.strip();
  }

  private static String folder(Class<?> type) throws URISyntaxException {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }
}
