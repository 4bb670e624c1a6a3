package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import fornax.array.Shape;
import fornax.backend.DeviceInfo;
import fornax.cuda.softwaredevice.SoftwareDevice;
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
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Loading in JVMs of its own: with a driver and without, and two at once.
class LoadingTest {
  @TempDir Path folder;

  /// Prints the devices and the report, as `fornax devices --verbose` would.
  static final class Doctor {
    private Doctor() {}

    public static void main(String[] arguments) {
      CudaProvider provider = new CudaProvider();
      for (DeviceInfo info : provider.devices()) {
        System.out.println(info + " preference " + provider.devicePreference(0));
      }
      System.out.println(provider.report());
      if (arguments.length > 0) {
        try (var backend = provider.open(0);
            var _ = Scope.open()) {
          backend.synchronize();
          System.out.println("opened " + backend.id());
          if (arguments[0].equals("multiply")) {
            Tensor x = Tensors.on(backend).of(new float[] {1, 2, 3, 4}, Shape.of(2, 2));
            System.out.println("product " + Arrays.toString(x.matmul(x).toFloatArray()));
          }
        }
      }
    }
  }

  private ProcessBuilder doctor(String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-Dfornax.cache=" + folder);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Doctor.class.getName());
    command.addAll(Arrays.asList(arguments));
    return new ProcessBuilder(command).redirectErrorStream(true);
  }

  private Process start(boolean withDevice, String... arguments) throws IOException {
    ProcessBuilder builder = doctor(arguments);
    String path = System.getenv().getOrDefault("LD_LIBRARY_PATH", "");
    String device = Path.of("target/software-device").toAbsolutePath().toString();
    builder
        .environment()
        .put("LD_LIBRARY_PATH", withDevice ? device + ":" + path : path.replace(device + ":", ""));
    return builder.start();
  }

  /// A machine with CUDA 13 only: its NVRTC is called, and products need no cuBLAS. The NVRTC is
  /// that of CUDA 12 under the other's name.
  @Test
  void cuda13Alone_isEnough() throws Exception {
    SoftwareDevice.load();
    Nvrtc _ = Requirement.nvrtc();
    Path real = Path.of(String.valueOf(CudaLibraries.nvrtc().path()).replaceFirst(" \\(.*", ""));
    List<Path> builtins;
    try (var files = Files.list(real.resolveSibling("."))) {
      builtins = files.filter(file -> file.toString().contains("nvrtc-builtins")).toList();
    }
    Path source = Path.of("software-device/nvrtc13.c").toAbsolutePath();
    Path library = folder.resolve("libnvrtc.so.13");
    Process compiler =
        new ProcessBuilder(
                "gcc",
                "-O1",
                "-fPIC",
                "-shared",
                "-std=gnu11",
                "-Wl,-soname,libnvrtc.so.13",
                "-o",
                library.toString(),
                source.toString(),
                "-ldl")
            .redirectErrorStream(true)
            .start();
    String _ = output(compiler);
    Path driver = Path.of("target/software-device/libcuda.so.1").toAbsolutePath();
    Files.createSymbolicLink(folder.resolve("libcuda.so.1"), driver);
    ProcessBuilder builder = doctor("multiply");
    builder
        .command()
        .replaceAll(
            word ->
                Arrays.stream(word.split(":"))
                    .filter(part -> !part.contains("cuda-redist"))
                    .collect(Collectors.joining(":")));
    builder.environment().put("LD_LIBRARY_PATH", folder.toString());
    builder.environment().put("SOFTWARE_CUDA_NVRTC", real.toString());
    if (!builtins.isEmpty()) {
      builder.environment().put("SOFTWARE_CUDA_NVRTC_BUILTINS", builtins.getFirst().toString());
    }
    String text = output(builder.start());
    assumeFalse(text.contains("compiler libnvrtc.so.12"), "this machine has CUDA 12 too");
    assertTrue(text.contains("compiler libnvrtc.so.13: " + library + ", version 13.0"), text);
    assertTrue(text.contains("matmul   libcublas.so.12: not found"), text);
    assertTrue(text.contains("product [7.0, 10.0, 15.0, 22.0]"), text);
  }

  private static String output(Process process) throws IOException, InterruptedException {
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(process.waitFor(2, TimeUnit.MINUTES));
    assertEquals(0, process.exitValue(), text);
    return text;
  }

  @Test
  void withoutADriver_saysWhatIsMissingAndWhatToDo() throws Exception {
    if (Files.exists(Path.of("/usr/lib/x86_64-linux-gnu/libcuda.so.1"))) {
      org.junit.jupiter.api.Assumptions.abort("this machine has a driver");
    }
    String text = output(start(false));
    assertTrue(text.contains("available=false"), text);
    assertTrue(text.contains("no NVIDIA driver: libcuda.so.1 was not found"), text);
    assertTrue(text.contains("install NVIDIA's driver"), text);
    assertTrue(text.contains("driver   libcuda.so.1: not found"), text);
    assertTrue(text.contains("compiler libnvrtc.so.12"), text);
    assertTrue(text.contains("matmul   libcublas.so.12"), text);
  }

  @Test
  void twoJvmsAtOnce_unpackTheSameNatives() throws Exception {
    SoftwareDevice.load();
    Process first = start(true, "open");
    Process second = start(true, "open");
    for (Process process : List.of(first, second)) {
      String text = output(process);
      assertTrue(text.contains("opened cuda:0"), text);
      assertTrue(text.contains("software CUDA (test only)"), text);
      assertTrue(text.contains("preference 0"), text);
      assertTrue(text.contains("card     cuda:0"), text);
    }
    try (var files = Files.walk(folder)) {
      assertEquals(List.of(), files.filter(file -> file.toString().endsWith(".tmp")).toList());
    }
  }

  /// What another JVM has written half of would end this one with SIGBUS.
  @Test
  void librariesBesideThoseThatAreMeant_areNotOpened() throws Exception {
    SoftwareDevice.load();
    String first = output(start(true, "open"));
    assumeTrue(first.contains("from a jar on the class path"), "NVRTC is this machine's own");
    List<Path> whole;
    try (var files = Files.list(folder.resolve("libraries"))) {
      whole = files.filter(file -> file.toString().contains("builtins")).toList();
    }
    assertEquals(1, whole.size(), whole.toString());
    byte[] head = new byte[100_000];
    try (var in = Files.newInputStream(whole.getFirst())) {
      assertEquals(head.length, in.readNBytes(head, 0, head.length));
    }
    for (int copy = 0; copy < 8; copy++) {
      Files.write(Path.of(whole.getFirst() + "" + copy + ".part"), head);
    }
    assertTrue(output(start(true, "open")).contains("opened cuda:0"));
  }
}
