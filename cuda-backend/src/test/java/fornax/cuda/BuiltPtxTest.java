package fornax.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import jcuda.nvptxcompiler.JNvPTXCompiler;
import jcuda.nvptxcompiler.nvPTXCompilerHandle;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// The PTX in the jar, with which a user needs only the driver. It is made here, among the classes
/// that the jar is packed from: tests run before the jar is packed, and only where NVRTC is there.
class BuiltPtxTest {
  @TestFactory
  Stream<DynamicTest> ptx_isMadeForTheJar_andNvidiasOlderAssemblerTakesIt() throws Exception {
    Nvrtc nvrtc = Requirement.nvrtc();
    URI classes = CudaCompiler.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    assumeTrue(Files.isDirectory(Path.of(classes)), "the classes are in a jar already");
    Path folder =
        Files.createDirectories(Path.of(classes).resolve(Path.of("fornax", "cuda", "ptx")));
    JcudaNatives.with("JNvPTXCompiler", () -> JNvPTXCompiler.setExceptionsEnabled(false));
    return KernelSource.NAMES.stream()
        .map(
            name ->
                DynamicTest.dynamicTest(
                    name,
                    () -> {
                      KernelSource source = KernelSource.load(name);
                      byte[] ptx = CudaCompiler.builtPtx(nvrtc, source);
                      assertTakes(ptx, "sm_" + KernelSource.leastCapability(name));
                      assertTakes(ptx, "sm_90");
                      Files.write(folder.resolve(name + ".ptx"), ptx);
                      assertArrayEquals(ptx, source.builtPtx());
                      CudaCompiler.Code code = new CudaCompiler(null, 12000).compile(source, 90);
                      assertFalse(code.cubin());
                      assertArrayEquals(ptx, code.bytes());
                    }));
  }

  @Test
  void ptxOfAnotherSource_isNotTaken() {
    KernelSource now = KernelSource.load("fill");
    assertNull(new KernelSource("fill", now.text() + " ", now.headers()).builtPtx());
    assertNull(new KernelSource("fill", now.text(), Map.of()).builtPtx());
  }

  // JCuda's natives hold the assembler of CUDA 12.0.
  private static void assertTakes(byte[] ptx, String architecture) {
    byte[] text = java.util.Arrays.copyOf(ptx, ptx.length + 1); // ends with a zero
    nvPTXCompilerHandle handle = new nvPTXCompilerHandle();
    assertEquals(0, JNvPTXCompiler.nvPTXCompilerCreate(handle, ptx.length, text));
    int status =
        JNvPTXCompiler.nvPTXCompilerCompile(handle, 1, new String[] {"--gpu-name=" + architecture});
    String log = "";
    if (status != 0) {
      long[] size = new long[1];
      int _ = JNvPTXCompiler.nvPTXCompilerGetErrorLogSize(handle, size);
      byte[] messages = new byte[Math.toIntExact(size[0]) + 1];
      int _ = JNvPTXCompiler.nvPTXCompilerGetErrorLog(handle, messages);
      log = new String(messages, StandardCharsets.UTF_8);
    }
    int _ = JNvPTXCompiler.nvPTXCompilerDestroy(handle);
    assertEquals(0, status, log);
  }
}
