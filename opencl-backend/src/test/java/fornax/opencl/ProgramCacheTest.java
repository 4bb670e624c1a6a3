package fornax.opencl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.DeviceException;
import fornax.backend.NdArray;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import fornax.testkit.HostArrays;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProgramCacheTest {
  @TempDir Path directory = Path.of("set by JUnit");

  @AfterEach
  void forgetTheDirectory() {
    System.clearProperty("fornax.cache");
  }

  @Test
  void key_hasSourceOptionsAndDevice() {
    String key = ProgramCache.key("source", "options", "device 1.0");
    assertEquals(key, ProgramCache.key("source", "options", "device 1.0"));
    assertNotEquals(key, ProgramCache.key("source.", "options", "device 1.0"));
    assertNotEquals(key, ProgramCache.key("source", "options.", "device 1.0"));
    assertNotEquals(key, ProgramCache.key("source", "options", "device 1.1"));
  }

  @Test
  void entry_thatIsNotWholeIsMissing() throws IOException {
    ProgramCache cache = new ProgramCache(directory);
    assertNull(cache.read("a"));
    byte[] program = {1, 2, 3, 4};
    cache.write("a", program);
    assertArrayEquals(program, cache.read("a"));
    byte[] file = Files.readAllBytes(entries().getFirst());
    for (int length : new int[] {0, 7, 8, 39, file.length - 1}) {
      Files.write(entries().getFirst(), Arrays.copyOf(file, length));
      assertNull(cache.read("a"), "cut to " + length);
    }
    file[file.length - 1]++;
    Files.write(entries().getFirst(), file);
    assertNull(cache.read("a"));
    cache.write("a", program);
    Files.copy(directory.resolve("a.bin"), directory.resolve("b.bin"));
    assertNull(cache.read("b"), "another key's program");
  }

  @Test
  void directory_thatCannotBeWrittenIsNoError() throws IOException {
    Path file = Files.createFile(directory.resolve("file"));
    ProgramCache cache = new ProgramCache(file.resolve("below a file"));
    cache.write("a", new byte[] {1});
    assertNull(cache.read("a"));
  }

  @Test
  void device_readsItsProgramsBack_andRebuildsForeignOnes() throws IOException {
    OpenClDevice _ = Devices.first();
    System.setProperty("fornax.cache", directory.toString());
    int programs = programsOfExp().getFirst();
    assertEquals(entries().size(), programs);
    assertEquals(List.of(0, programs), programsOfExp());
    Path entry = entries().getFirst();
    Files.write(entry, new byte[] {1, 2, 3});
    assertEquals(List.of(1, programs - 1), programsOfExp());
    // Whole, but not what any driver compiled.
    String name = String.valueOf(entry.getFileName());
    new ProgramCache(directory.resolve("opencl"))
        .write(name.substring(0, name.length() - ".bin".length()), new byte[] {1, 2, 3});
    assertEquals(List.of(1, programs - 1), programsOfExp());
    assertEquals(List.of(0, programs), programsOfExp());
  }

  // Runs one kernel on a fresh device: how many programs were built, how many read.
  private static List<Integer> programsOfExp() {
    try (var backend = Devices.open();
        var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(3));
      backend.fill(x, 0);
      backend.unary(Unary.EXP, x, x);
      assertArrayEquals(new double[] {1, 1, 1}, HostArrays.values(backend, x));
      Programs programs = backend.queue().programs();
      return List.of(programs.built(), programs.loaded());
    }
  }

  private List<Path> entries() throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      return files.filter(file -> file.toString().endsWith(".bin")).toList();
    }
  }

  @Test
  void source_thatDoesNotCompileSaysWhereAndWhy() {
    try (var backend = Devices.open();
        var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F32, Shape.of(3));
      DeviceException thrown =
          assertThrows(
              DeviceException.class,
              () ->
                  backend
                      .queue()
                      .launch(
                          "exp",
                          Kernel.Spec.of("elementwise", "unary", "-D X=F32 -D Y=F32 -D OP=NO_SUCH"),
                          Grid.items(3, 64),
                          x,
                          x,
                          KernelLoops.of("exp", x.layout(), x.layout())));
      String message = String.valueOf(thrown.getMessage());
      assertTrue(message.contains("elementwise.cl"), message);
      assertTrue(message.contains("CL_BUILD_PROGRAM_FAILURE"), message);
      assertTrue(message.contains(backend.queue().device().name()), message);
      assertTrue(message.contains("f_NO_SUCH"), message);
    }
  }
}
