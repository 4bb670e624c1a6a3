package fornax.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.array.DType;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.data.CharTokenizer;
import fornax.data.TextStream;
import fornax.data.TokenizedText;
import fornax.models.Devices;
import fornax.tensor.Scope;
import fornax.tensor.Tensor;
import fornax.tensor.Tensors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Four programs begin at once with an empty cache folder, in which each finds what another is
/// writing: libraries, compiled kernels, tiles, tokens. All must come to the same numbers, also
/// where the folder's name has spaces and letters beyond ASCII, there is no folder for temporary
/// files, and digits are Arabic.
class SharedCacheTest {
  private static final int PROGRAMS = 4;
  private static final int ROUNDS = Integer.getInteger("fornax.rounds", 10);
  private static final Path SOFTWARE_DEVICE = Path.of("../cuda-backend/software-device");
  private static final Path LIBRARIES = Path.of("../cuda-backend/target/software-device");

  @TempDir Path folder;

  /// Says that it is ready, waits for a line, and uses all that is cached.
  static final class Program {
    private Program() {}

    public static void main(String[] arguments) throws IOException {
      System.out.println("ready");
      int _ = System.in.read();
      try (Backend backend = Backends.open(arguments[0]).backend();
          var _ = Scope.open()) {
        Tensors on = Tensors.on(backend);
        Tensor x = on.range(DType.F32, 0, 0.1, 12).reshape(3, 4).requiresGrad(true);
        Tensor y = x.matmul(x.transpose()).softmax(-1).layerNorm(1, 1e-5).gelu().sum();
        y.backward();
        Tensor low = x.to(DType.BF16).matmul(x.transpose().to(DType.BF16)).to(DType.F32);
        System.out.println(
            "numbers "
                + y.item()
                + Arrays.toString(low.toFloatArray())
                + Arrays.toString(Objects.requireNonNull(x.grad()).toFloatArray()));
      }
      var options = new TokenizedText.Options(Path.of(arguments[1]), 1000, _ -> {}, _ -> {});
      try (var text =
          TokenizedText.of(
              TextStream.of(List.of(arguments[2])),
              scan -> CharTokenizer.of(scan.characters()),
              options)) {
        int[] last = new int[9];
        text.tokens().copy(text.tokens().length() - 9, last, 0, 9);
        System.out.println("tokens " + text.tokens().length() + Arrays.toString(last));
      }
    }
  }

  private Process start(String device, Path cache, List<String> properties) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Djava.io.tmpdir=" + cache,
            "-Dfornax.cache=" + cache));
    command.addAll(properties);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            Program.class.getName(),
            device,
            cache.resolve("tokens").toString(),
            folder.resolve("text").toString()));
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    Map<String, String> environment = builder.environment();
    // PoCL's own cache is not made for several programs: PoCL 3.1 ends in readdir, now and then.
    environment.put("POCL_CACHE_DIR", Files.createTempDirectory(folder, "pocl").toString());
    environment.merge(
        "LD_LIBRARY_PATH",
        LIBRARIES.toAbsolutePath().normalize().toString(),
        (before, ours) -> ours + ":" + before);
    return builder.start();
  }

  private String round(String device, Path cache, List<String> properties)
      throws IOException, InterruptedException {
    Path _ = Files.createDirectories(cache);
    List<Process> programs = new ArrayList<>();
    String first;
    try {
      for (int i = 0; i < PROGRAMS; i++) {
        programs.add(start(device, cache, properties));
      }
      for (Process program : programs) { // each reads on when all have started
        byte[] ready = program.getInputStream().readNBytes(6);
        assertEquals("ready\n".length(), ready.length);
      }
      for (Process program : programs) {
        program.getOutputStream().write('\n');
        program.getOutputStream().flush();
      }
      first = said(programs.getFirst());
      for (Process program : programs.subList(1, PROGRAMS)) {
        assertEquals(first, said(program));
      }
    } finally {
      programs.forEach(Process::destroyForcibly);
    }
    try (Stream<Path> files = Files.walk(cache)) {
      assertEquals(
          List.of(), files.filter(file -> file.toString().matches(".*(tmp|part|new)$")).toList());
    }
    return first;
  }

  private static String said(Process program) throws IOException, InterruptedException {
    String text = new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(program.waitFor(2, TimeUnit.MINUTES));
    assertEquals(0, program.exitValue(), text);
    List<String> lines = text.lines().filter(line -> line.matches("(numbers|tokens) .*")).toList();
    assertEquals(2, lines.size(), text);
    return String.join("\n", lines);
  }

  private void writeText() throws IOException {
    Path _ = Files.writeString(folder.resolve("text"), "to be or not to be\n".repeat(20_000));
  }

  @Test
  void programsAtOnce_shareAnEmptyCache() throws IOException, InterruptedException {
    writeText();
    assertTrue(round("cpu", folder.resolve("once"), List.of()).contains("tokens 380000["));
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "opencl", "cuda:0"})
  @Tag("slow")
  void programsAtOnce_shareAnEmptyCache_manyTimes(String device)
      throws IOException, InterruptedException {
    List<String> properties = new ArrayList<>();
    switch (device) {
      case "opencl" -> Devices.requireOpenCl();
      case "cuda:0" -> {
        Process build =
            new ProcessBuilder(
                    SOFTWARE_DEVICE.resolve("build").toAbsolutePath().toString(),
                    LIBRARIES.toAbsolutePath().toString())
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("build.log").toFile())
                .start();
        assumeTrue(build.waitFor() == 0, "the software CUDA device does not build");
        properties.addAll(List.of("-Dfornax.cuda.code=ptx", "-Dfornax.cuda.tiles=search"));
      }
      default -> {
        assumeTrue(
            Backends.class.getResource("/org/bytedeco/dnnl/linux-x86_64/libdnnl.so.3") != null,
            "oneDNN is not on the class path; -Ponednn brings it");
        properties.add("-Dfornax.cpu.matmul=onednn");
      }
    }
    writeText();
    String expected = round(device, folder.resolve("plain"), properties);
    for (int i = 1; i < ROUNDS; i++) {
      List<String> all = new ArrayList<>(properties);
      if (i % 2 == 1) {
        all.add("-Djava.io.tmpdir=/proc/nowhere");
        all.addAll(
            List.of("-Duser.language=ar", "-Duser.country=EG", "-Duser.extensions=u-nu-arab"));
      }
      assertEquals(expected, round(device, folder.resolve("cäche ß " + i), all));
    }
  }
}
