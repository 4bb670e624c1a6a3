package fornax.opencl;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import fornax.array.DType;
import fornax.array.Shape;
import fornax.backend.Backend;
import fornax.backend.DeviceException;
import fornax.backend.KernelTime;
import fornax.backend.NdArray;
import fornax.backend.Workspace;
import fornax.backend.reference.ReferenceBackend;
import fornax.conformance.CaseResult;
import fornax.conformance.OpCase;
import fornax.conformance.OpCases;
import fornax.conformance.SelfTest;
import fornax.testkit.HostArrays;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClBlastTest {
  private static final Shape LARGE = Shape.of(131, 131); // so that CLBlast pads and needs room

  @AfterEach
  void forgetProperties() {
    System.clearProperty("fornax.opencl.matmul");
    System.clearProperty("fornax.profile");
  }

  private static OpenClBackend open() {
    OpenClDevice device = Devices.first();
    return new OpenClBackend("opencl:0", device, Tuning.of(device), library());
  }

  private static ClBlast library() {
    ClBlast library = ClBlast.find();
    return library == null
        ? abort("CLBlast is absent: no libclblast.so.1; " + ClBlast.FIX)
        : library;
  }

  @ParameterizedTest
  @ValueSource(
      longs = {
        1, // pads and transposes in temporary memory first
        100000 // does so on the way to local memory
      })
  void products_areRight(long leastWithTemporary) throws Throwable {
    try (Backend backend = open();
        Backend reference = new ReferenceBackend()) {
      setLeastWithTemporary(leastWithTemporary);
      int run = 0;
      for (OpCase operation : OpCases.all()) {
        if (operation.name().startsWith("matmul") || operation.name().startsWith("linear")) {
          for (OpCase.Variant variant : operation.variants()) {
            for (CaseResult result : SelfTest.check(variant, DType.F32, reference, backend)) {
              assertTrue(result.passed(), result::toString);
              run++;
            }
          }
        }
      }
      assertTrue(run > 0);
      backend.synchronize();
      assertEquals(0, backend.memory().stats().live());
    }
  }

  // CLBlast takes temporary memory for products of at least `size`³, which depends on the device.
  @SuppressWarnings("restricted")
  private static void setLeastWithTemporary(long size) throws Throwable {
    SymbolLookup symbols = SymbolLookup.libraryLookup(library().name(), Arena.global());
    MethodHandle override =
        Linker.nativeLinker()
            .downcallHandle(
                symbols.findOrThrow("CLBlastOverrideParameters"),
                FunctionDescriptor.of(
                    JAVA_INT, JAVA_LONG, ADDRESS, JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS));
    try (var arena = Arena.ofConfined()) {
      MemorySegment parameter = arena.allocateFrom("XGEMM_MIN_INDIRECT_SIZE");
      int single = 32; // CLBlastPrecisionSingle
      int code =
          (int)
              override.invokeExact(
                  Devices.first().handle(),
                  arena.allocateFrom("GemmRoutine"),
                  single,
                  1L,
                  arena.allocateFrom(ADDRESS, parameter),
                  arena.allocateFrom(JAVA_LONG, size));
      assertEquals(OpenClCheck.SUCCESS, code);
    }
  }

  @Test
  void kernelTimes_showWhatCLBlastTook() throws Throwable {
    System.setProperty("fornax.profile", "true");
    try (OpenClBackend backend = open();
        var work = new Workspace(backend.memory())) {
      NdArray a = work.allocate(DType.F32, LARGE);
      NdArray b = work.allocate(DType.F32, LARGE);
      NdArray y = work.allocate(DType.F32, LARGE);
      setLeastWithTemporary(1);
      backend.fill(a, 1);
      backend.fill(b, 0.5);
      backend.fill(y, 1);
      for (int i = 0; i < 3; i++) {
        backend.matmul(a, b, y, true);
      }
      for (double value : HostArrays.values(backend, y)) {
        assertEquals(1 + 3 * 65.5, value);
      }
      List<KernelTime> times =
          backend.kernelTimes().stream().filter(time -> time.op().equals("matmul")).toList();
      assertEquals(List.of("CLBlast:Sgemm"), times.stream().map(KernelTime::kernel).toList());
      assertEquals(3, times.getFirst().launches());
      assertTrue(times.getFirst().nanos() > 0, times::toString);
      long live = backend.memory().stats().live();
      assertTrue(backend.memory().stats().peak() >= live + a.bytes(), "temporary memory is pooled");
    }
  }

  @Test
  void arraysThatItCannotTake_goToOurKernel() {
    try (OpenClBackend backend = open();
        var work = new Workspace(backend.memory())) {
      NdArray f32 = work.allocate(DType.F32, LARGE);
      NdArray bf16 = work.allocate(DType.BF16, LARGE);
      NdArray none = work.allocate(DType.F32, Shape.of(131, 0));
      assertTrue(ClBlast.takes(f32, f32, f32));
      assertTrue(ClBlast.takes(f32.transpose(), f32, f32));
      assertFalse(ClBlast.takes(f32, f32, f32.transpose()));
      assertFalse(ClBlast.takes(bf16, f32, f32));
      assertFalse(ClBlast.takes(none, none.transpose(), f32));
    }
  }

  @Test
  void choice_isTheProperty() {
    assertNull(OpenClBackend.chosenClBlast());
    System.setProperty("fornax.opencl.matmul", "own");
    assertNull(OpenClBackend.chosenClBlast());
    System.setProperty("fornax.opencl.matmul", "fast");
    assertThrows(IllegalArgumentException.class, OpenClBackend::chosenClBlast);
    System.setProperty("fornax.opencl.matmul", "clblast");
    ClBlast library = ClBlast.find();
    if (library != null) {
      assertSame(library, OpenClBackend.chosenClBlast());
    } else {
      DeviceException thrown = assertThrows(DeviceException.class, OpenClBackend::chosenClBlast);
      assertTrue(String.valueOf(thrown.getMessage()).contains(ClBlast.FIX), thrown::toString);
    }
  }

  @Test
  void report_saysWhetherItWasFound() {
    OpenClDevice _ = Devices.first();
    ClBlast library = ClBlast.find();
    String report = new OpenClProvider().report();
    assertTrue(
        report.contains(
            library == null ? "CLBlast: not found" : "CLBlast: found as " + library.name()),
        report);
  }
}
