package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.DeviceException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CudaCompilerTest {
  private static final KernelSource SMALL =
      new KernelSource(
          "small", "extern \"C\" __global__ void small(float* y) { y[0] = 1; }", Map.of());

  @TempDir Path cache;

  private final String code = System.getProperty("fornax.cuda.code", "auto");

  @BeforeEach
  void useOwnCache() {
    System.setProperty("fornax.cuda.code", "auto");
    System.setProperty("fornax.cache", cache.toString());
  }

  @AfterEach
  void useUsualCache() {
    System.clearProperty("fornax.cache");
    System.setProperty("fornax.cuda.code", code);
  }

  private List<Path> kernels() throws IOException {
    try (Stream<Path> files = Files.list(cache.resolve("kernels"))) {
      return files.sorted().toList();
    }
  }

  @Test
  void compile_makesACubinForAKnownCard_andPtxForALaterOne() {
    CudaCompiler compiler = new CudaCompiler(Requirement.nvrtc(), 12090);
    CudaCompiler.Code known = compiler.compile(SMALL, 80);
    assertTrue(known.cubin());
    assertEquals("\u007fELF", new String(known.bytes(), 0, 4, StandardCharsets.ISO_8859_1));
    CudaCompiler.Code later = compiler.compile(SMALL, 999);
    assertFalse(later.cubin());
    assertTrue(new String(later.bytes(), StandardCharsets.UTF_8).contains(".target sm_"));
  }

  @Test
  void compile_obeysTheProperty() {
    CudaCompiler compiler = new CudaCompiler(Requirement.nvrtc(), 12090);
    System.setProperty("fornax.cuda.code", "ptx");
    CudaCompiler.Code code = compiler.compile(SMALL, 80);
    assertFalse(code.cubin());
    assertTrue(new String(code.bytes(), StandardCharsets.UTF_8).contains(".target sm_80"));
  }

  @Test
  void compile_takesFromTheCacheWhatItMadeBefore() throws IOException {
    CudaCompiler compiler = new CudaCompiler(Requirement.nvrtc(), 12090);
    byte[] first = compiler.ptx(SMALL, 80).bytes();
    var file = new KernelFile(cache.resolve("kernels"), kernels().getFirst().getFileName() + "");
    assertArrayEquals(first, file.read());
    file.write("from the cache".getBytes(StandardCharsets.UTF_8));
    assertEquals(
        "from the cache", new String(compiler.ptx(SMALL, 80).bytes(), StandardCharsets.UTF_8));
  }

  @Test
  void compile_makesAnewWhatIsDamagedInTheCache() throws IOException {
    CudaCompiler compiler = new CudaCompiler(Requirement.nvrtc(), 12090);
    byte[] first = compiler.ptx(SMALL, 80).bytes();
    Path file = kernels().getFirst();
    byte[] whole = Files.readAllBytes(file);
    byte[] bent = whole.clone();
    bent[whole.length - 1] ^= 1;
    for (byte[] bytes : List.of(bent, Arrays.copyOf(whole, whole.length - 1), first, new byte[0])) {
      Path _ = Files.write(file, bytes);
      assertArrayEquals(first, compiler.ptx(SMALL, 80).bytes());
      assertArrayEquals(whole, Files.readAllBytes(file));
    }
    Path other = Files.move(file, file.resolveSibling("small-compute_80-00"));
    assertNull(
        new KernelFile(cache.resolve("kernels"), other.getFileName() + "").read(), "another's");
  }

  @Test
  void compile_keysTheCacheByAllThatCodeDependsOn() throws IOException {
    Nvrtc nvrtc = Requirement.nvrtc();
    byte[] _ = new CudaCompiler(nvrtc, 12090).ptx(SMALL, 80).bytes();
    byte[] _ = new CudaCompiler(nvrtc, 12040).ptx(SMALL, 80).bytes(); // another driver
    byte[] _ = new CudaCompiler(nvrtc, 12090).ptx(SMALL, 75).bytes(); // another card
    KernelSource changed = new KernelSource("small", SMALL.text() + " ", Map.of());
    byte[] _ = new CudaCompiler(nvrtc, 12090).ptx(changed, 80).bytes();
    KernelSource header = new KernelSource("small", SMALL.text(), Map.of("h.cuh", "int i;"));
    byte[] _ = new CudaCompiler(nvrtc, 12090).ptx(header, 80).bytes();
    assertEquals(5, kernels().size());
  }

  @Test
  void compile_showsFileLineAndLogOfAnError() {
    KernelSource wrong =
        new KernelSource(
            "wrong", "extern \"C\" __global__ void wrong() {\n  unknown();\n}\n", Map.of());
    CudaCompiler compiler = new CudaCompiler(Requirement.nvrtc(), 12090);
    String message =
        String.valueOf(
            assertThrows(DeviceException.class, () -> compiler.ptx(wrong, 80)).getMessage());
    assertTrue(message.contains("wrong.cu(2)"), message);
    assertTrue(message.contains("\"unknown\" is undefined"), message);
    assertTrue(message.contains("compute_80"), message);
  }

  @Test
  void compile_withoutNvrtcAndWithoutPtx_saysWhatIsNeeded() {
    CudaCompiler compiler = new CudaCompiler(null, 12090);
    String message =
        String.valueOf(
            assertThrows(DeviceException.class, () -> compiler.compile(SMALL, 80)).getMessage());
    assertTrue(message.contains("small.cu"), message);
    assertTrue(message.contains(CudaProbe.NVRTC_FIX), message);
  }
}
