package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.DeviceInfo;
import fornax.cuda.softwaredevice.SoftwareDevice;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
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
        try (var backend = provider.open(0)) {
          backend.synchronize();
          System.out.println("opened " + backend.id());
        }
      }
    }
  }

  private Process start(boolean withDevice, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-Dfornax.cache=" + folder);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(Doctor.class.getName());
    command.addAll(Arrays.asList(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    String path = System.getenv().getOrDefault("LD_LIBRARY_PATH", "");
    String device = Path.of("target/software-device").toAbsolutePath().toString();
    builder
        .environment()
        .put("LD_LIBRARY_PATH", withDevice ? device + ":" + path : path.replace(device + ":", ""));
    return builder.start();
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
      assertEquals(List.of(), files.filter(file -> file.toString().endsWith(".part")).toList());
    }
  }
}
