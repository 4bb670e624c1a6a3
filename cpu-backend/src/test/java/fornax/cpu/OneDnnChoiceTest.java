package fornax.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Settings;
import fornax.backend.Workspace;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What is said, and what computes, with and without oneDNN: in JVMs of their own.
class OneDnnChoiceTest {
  private static final String ABSENT = "oneDNN is not on the class path";
  private static final String NO_INSTRUCTIONS = "no bf16 instructions";

  /// The program of those JVMs: one product, in BF16 or F32 by its argument. It prints whether
  /// oneDNN's library is loaded, or the error.
  static final class Product {
    private Product() {}

    public static void main(String[] arguments) throws IOException {
      DType type = DType.valueOf(arguments[0]);
      try (var cpu = new CpuBackend(2);
          var work = new Workspace(cpu.memory())) {
        NdArray x = work.allocate(type, Shape.of(128, 128));
        NdArray y = work.allocate(type, Shape.of(128, 128));
        cpu.fill(x, 0.5);
        cpu.matmul(x, x, y, false);
        cpu.matmul(x, x, y, false);
        String maps = Files.readString(Path.of("/proc/self/maps"));
        System.out.println(maps.contains("libdnnl") ? "oneDNN" : "Java");
      } catch (DeviceException e) {
        System.out.println("error: " + e.getMessage());
      }
    }
  }

  private record Outcome(String result, String log) {}

  private static Outcome run(
      boolean withJar, Map<String, String> environment, String type, String... options)
      throws IOException, InterruptedException, URISyntaxException {
    var command = new ArrayList<String>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of(options));
    String classes =
        String.join(
            File.pathSeparator,
            folder(CpuBackend.class),
            folder(Product.class),
            folder(Settings.class));
    command.addAll(List.of("-cp", withJar ? classes + File.pathSeparator + jars() : classes));
    command.addAll(List.of(Product.class.getName(), type));
    var builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    Path log = Files.createTempFile("choice", ".log");
    try {
      Process process = builder.redirectError(log.toFile()).start();
      String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      String said = Files.readString(log);
      assertEquals(0, process.waitFor(), said);
      return new Outcome(out.strip(), said);
    } finally {
      Files.delete(log);
    }
  }

  private static String jars() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> entry.contains("dnnl-") || entry.contains("opencl-"))
        .collect(Collectors.joining(File.pathSeparator));
  }

  private static String folder(Class<?> type) throws URISyntaxException {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }

  private static long count(String text, String part) {
    return text.lines().filter(line -> line.contains(part)).count();
  }

  @Test
  void withoutTheJarAutoSaysSoOnceAndGoesOnInJava() throws Exception {
    Outcome outcome = run(false, Map.of(), "BF16");
    assertEquals("Java", outcome.result());
    assertEquals(1, count(outcome.log(), "bf16 products by Java in F32 arithmetic: " + ABSENT));
  }

  @Test
  void withoutBf16ProductsNothingIsSaid() throws Exception {
    assertFalse(run(false, Map.of(), "F32").log().contains("oneDNN"));
  }

  @Test
  void javaIsSilent() throws Exception {
    assertFalse(run(false, Map.of(), "BF16", "-Dfornax.cpu.matmul=java").log().contains("oneDNN"));
  }

  @Test
  void withoutTheJarOnednnIsAnErrorThatSaysWhatToDo() throws Exception {
    String result = run(false, Map.of(), "F32", "-Dfornax.cpu.matmul=onednn").result();
    assertTrue(result.startsWith("error: matmul: " + ABSENT), result);
    assertTrue(result.contains("-Ponednn"), result);
    assertEquals(1, result.lines().count());
  }

  @Test
  void withTheJarAutoTakesItForBf16Only(@TempDir Path cache) throws Exception {
    var _ = OneDnnRequirement.matmul();
    String folder = "-Dfornax.cache=" + cache;
    Outcome outcome = run(true, Map.of(), "BF16", folder);
    assertEquals("oneDNN", outcome.result());
    assertEquals(1, count(outcome.log(), "bf16 products by oneDNN 3."));
    assertEquals("Java", run(true, Map.of(), "F32", folder).result());
    assertEquals("Java", run(true, Map.of(), "BF16", folder, "-Dfornax.cpu.matmul=java").result());
    assertEquals("oneDNN", run(true, Map.of(), "BF16", folder).result(), "from the cache");
  }

  @Test
  void leavesNoFilesWhereTheCacheIsOff(@TempDir Path temporary) throws Exception {
    var _ = OneDnnRequirement.matmul();
    String folder = "-Djava.io.tmpdir=" + temporary;
    assertEquals("oneDNN", run(true, Map.of(), "BF16", folder, "-Dfornax.cache=off").result());
    try (var files = Files.list(temporary)) {
      assertEquals(List.of(), files.filter(file -> file.toString().contains("fornax")).toList());
    }
  }

  @Test
  void withoutInstructionsAutoSaysSoAndGoesOnInJava() throws Exception {
    var _ = OneDnnRequirement.matmul();
    Map<String, String> old = Map.of("ONEDNN_MAX_CPU_ISA", "AVX2");
    Outcome outcome = run(true, old, "BF16");
    assertEquals(1, count(outcome.log(), NO_INSTRUCTIONS));
    assertEquals(1, count(outcome.log(), "bf16 products by Java"));
    String asked = run(true, old, "BF16", "-Dfornax.cpu.matmul=onednn").result();
    assertTrue(asked.startsWith("error: ") && asked.contains(NO_INSTRUCTIONS), asked);
  }

  @Test
  void replacesAFileThatIsNotWhole(@TempDir Path cache) throws Exception {
    var _ = OneDnnRequirement.matmul();
    String folder = "-Dfornax.cache=" + cache;
    assertEquals("oneDNN", run(true, Map.of(), "BF16", folder).result());
    try (var files = Files.walk(cache)) {
      Path library = files.filter(file -> file.endsWith("libdnnl.so.3")).findFirst().orElseThrow();
      Files.write(library, new byte[1000]);
    }
    assertEquals("oneDNN", run(true, Map.of(), "BF16", folder).result());
  }
}
