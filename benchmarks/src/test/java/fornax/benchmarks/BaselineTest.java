package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.cli.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BaselineTest {
  @TempDir Path folder;

  @Test
  void accept_keepsOtherMachines() throws IOException {
    Path file = folder.resolve("baseline.json");
    Baseline.read(file).accept("one", Map.of("a", 0.123456, "b", 0.000012341));
    Baseline.read(file).accept("two", Map.of("a", 1.5));
    Baseline.read(file).accept("two", Map.of("c", 2.0));
    Baseline read = Baseline.read(file);
    assertEquals(Map.of("a", 0.1235, "b", 0.00001234), read.of("one"));
    assertEquals(Map.of("c", 2.0), read.of("two"));
    assertEquals(Map.of(), read.of("three"));
  }

  @Test
  void noObject_isRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("baseline.json"), "[1]");
    var error = assertThrows(UserException.class, () -> Baseline.read(file));
    assertTrue(String.valueOf(error.getMessage()).contains("is not a baseline"));
  }

  /// The committed file is readable, and names paths that are measured.
  @Test
  void committedFile_fitsTheHotPaths() throws IOException {
    var names =
        Stream.concat(HotPath.ALL.stream(), HotPath.ONEDNN.stream()).map(HotPath::name).toList();
    Baseline baseline = Baseline.read(Baseline.file());
    assertTrue(baseline.machines().size() >= 1);
    for (String machine : baseline.machines()) {
      assertTrue(names.containsAll(baseline.of(machine).keySet()), machine);
    }
  }

  @Test
  void machineKey_namesDesignFeaturesAndCores() {
    String info =
        """
        processor\t: 0
        vendor_id\t: GenuineIntel
        cpu family\t: 6
        model\t\t: 143
        model name\t: Intel(R) Xeon(R)
        flags\t\t: fpu fma avx2 avx512f amx_bf16
        processor\t: 1
        vendor_id\t: Other
        """;
    assertEquals("GenuineIntel 6.143, avx2 fma avx512f amx_bf16, 2 cores", Machine.key(info, 2));
    assertEquals(System.getProperty("os.arch") + ", , 1 core", Machine.key("", 1));
  }
}
