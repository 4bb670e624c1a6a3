package fornax.opencl;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.array.DType;
import fornax.array.DTypeException;
import fornax.array.Shape;
import fornax.backend.BackendProvider;
import fornax.backend.Backends;
import fornax.backend.DeviceException;
import fornax.backend.DeviceInfo;
import fornax.backend.NdArray;
import fornax.backend.OutOfDeviceMemoryException;
import fornax.backend.Owner;
import fornax.backend.Unary;
import fornax.backend.Workspace;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OpenClDeviceTest {
  @Test
  void devices_areListedOrSayWhyNot() {
    List<DeviceInfo> devices = new OpenClProvider().devices();
    assertFalse(devices.isEmpty());
    for (DeviceInfo device : devices) {
      assertEquals("opencl", device.backend());
      assertEquals(device.available(), device.reason().isEmpty(), device::toString);
      assertEquals(device.available(), device.fix().isEmpty(), device::toString);
    }
  }

  @Test
  void processor_isBehindTheCpuBackendForAuto() {
    OpenClDevice device = Devices.first();
    BackendProvider provider = new OpenClProvider();
    assertEquals(
        device.kind() == OpenClDevice.Kind.CPU ? 5 : provider.preference(),
        provider.devicePreference(0));
  }

  @Test
  void device_opensByAPartOfItsName() {
    String name = Devices.first().name();
    try (var backend = Backends.open("opencl:" + name.substring(1)).backend()) {
      assertEquals("opencl:0", backend.id());
    }
    DeviceException thrown =
        assertThrows(DeviceException.class, () -> Backends.open("opencl:no such card"));
    assertTrue(String.valueOf(thrown.getMessage()).contains("opencl:0"), thrown::toString);
  }

  @Test
  void open_rejectsAnIndexThatIsNotThere() {
    assertThrows(DeviceException.class, () -> new OpenClProvider().open(1000));
  }

  @Test
  void version_isReadFromWhatDriversSay() {
    assertTrue(OpenClDevice.atLeast12("OpenCL 1.2 CUDA"));
    assertTrue(OpenClDevice.atLeast12("OpenCL 3.0 PoCL HSTR: pthread"));
    assertFalse(OpenClDevice.atLeast12("OpenCL 1.1 Mesa"));
    assertFalse(OpenClDevice.atLeast12("1.2"));
  }

  @Test
  void f64_isRefused() {
    try (var backend = Devices.open();
        var work = new Workspace(backend.memory())) {
      NdArray x = work.allocate(DType.F64, Shape.of(3));
      assertThrows(DTypeException.class, () -> backend.unary(Unary.EXP, x, x));
      assertThrows(DTypeException.class, () -> backend.fill(x, 1));
    }
  }

  @Test
  void oneArrayLargerThanTheDeviceAllows_isRefused() {
    try (var backend = Devices.open()) {
      backend.memory().setLimit(Long.MAX_VALUE);
      Shape shape = Shape.of(backend.queue().device().allocationBytes() + 1);
      DeviceException thrown =
          assertThrows(
              DeviceException.class,
              () -> backend.memory().allocate(DType.BOOL, shape, Owner.DATA));
      String message = String.valueOf(thrown.getMessage());
      assertTrue(message.contains("CL_DEVICE_MAX_MEM_ALLOC_SIZE"), message);
      assertEquals(0, backend.memory().stats().live());
    }
  }

  @Test
  void pastTheLimit_isOutOfDeviceMemory() {
    try (var backend = Devices.open()) {
      backend.memory().setLimit(1 << 20);
      assertThrows(
          OutOfDeviceMemoryException.class,
          () -> backend.memory().allocate(DType.F32, Shape.of(1 << 20), Owner.DATA));
    }
  }

  @Test
  void codes_haveNames() {
    assertEquals("CL_OUT_OF_RESOURCES (-5)", OpenClCheck.name(-5));
    assertEquals("unknown code (-12345)", OpenClCheck.name(-12345));
    DeviceException thrown =
        assertThrows(DeviceException.class, () -> OpenClCheck.check(-36, "clFinish", "a card"));
    assertTrue(
        String.valueOf(thrown.getMessage()).contains("CL_INVALID_COMMAND_QUEUE (-36)"),
        thrown::toString);
  }

  @ParameterizedTest
  @CsvSource({
    "-4, CL_MEM_OBJECT_ALLOCATION_FAILURE, smaller batch",
    "-5, CL_OUT_OF_RESOURCES, smaller batch",
    "-6, CL_OUT_OF_HOST_MEMORY, smaller batch",
    "-36, CL_INVALID_COMMAND_QUEUE, open it anew",
    "-14, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, open it anew",
    "-2, CL_DEVICE_NOT_AVAILABLE, open it anew",
    "-3, CL_COMPILER_NOT_AVAILABLE, need a driver"
  })
  void codes_sayWhatToDo(int code, String name, String hint) {
    DeviceException thrown =
        assertThrows(DeviceException.class, () -> OpenClCheck.check(code, "clFinish", "a card"));
    String message = String.valueOf(thrown.getMessage());
    assertTrue(message.startsWith("clFinish: failed on a card; got " + name), message);
    assertTrue(message.contains(hint), message);
  }

  /// The first device, but for one thing that its driver says.
  @ParameterizedTest
  @CsvSource({
    "0x1027, 0, not available", // CL_DEVICE_AVAILABLE
    "0x1028, 0, no compiler", // CL_DEVICE_COMPILER_AVAILABLE
    "0x1026, 0, big-endian", // CL_DEVICE_ENDIAN_LITTLE
    "0x101B, 0, no infinity", // CL_DEVICE_SINGLE_FP_CONFIG
    "0x1004, 32, 'at most 32 work-items and 64 are needed'", // CL_DEVICE_MAX_WORK_GROUP_SIZE
    "0x1023, 8192, '8192 bytes of local memory and 16384'", // CL_DEVICE_LOCAL_MEM_SIZE
    "0x102F, OpenCL 1.1 Old, 'it has OpenCL 1.1 Old and OpenCL 1.2 is needed'", // CL_DEVICE_VERSION
    "0x102E, EMBEDDED_PROFILE, embedded profile", // CL_DEVICE_PROFILE
    "0x1030, FAIL, does not answer" // CL_DEVICE_EXTENSIONS
  })
  void device_thatCannotBeUsedSaysWhy(String what, String says, String reason) {
    OpenClDevice first = Devices.first();
    int asked = Integer.decode(what);
    DeviceQuery driver = DeviceQuery.device(first.handle());
    DeviceQuery.Call answers =
        (handle, question, size, to, sizeTo) -> {
          if (question != asked) {
            return driver.call().ask(handle, question, size, to, sizeTo);
          }
          return says.equals("FAIL") ? -30 : answer(says, size, to, sizeTo);
        };
    OpenClDevice device =
        OpenClDevice.describe(
            DeviceQuery.platform(first.platform()), new DeviceQuery(first.handle(), answers));
    assertTrue(String.valueOf(device.reason()).contains(reason), device::toString);
    assertTrue(device.report().contains(reason), device::report);
  }

  @SuppressWarnings("restricted")
  private static int answer(String says, long size, long to, long sizeTo) {
    boolean isText = !Character.isDigit(says.charAt(0));
    if (sizeTo != 0) {
      MemorySegment.ofAddress(sizeTo).reinterpret(8).set(JAVA_LONG, 0, says.length() + 1);
    }
    if (to != 0) {
      MemorySegment target = MemorySegment.ofAddress(to).reinterpret(size);
      if (isText) {
        target.setString(0, says);
      } else if (size == 4) {
        target.set(JAVA_INT, 0, Integer.parseInt(says));
      } else {
        target.set(JAVA_LONG, 0, Long.parseLong(says));
      }
    }
    return OpenClCheck.SUCCESS;
  }

  @Test
  void report_tellsTheCapabilitiesOfEachDevice() {
    OpenClDevice device = Devices.first();
    String report = new OpenClProvider().report();
    assertTrue(report.contains(device.name()), report);
    assertTrue(report.contains("groups of at most " + device.groupLimit()), report);
    for (String capability : List.of("fp16", "fp64", "subgroups")) {
      boolean has = device.extensions().contains("cl_khr_" + capability);
      assertTrue(report.contains(capability + (has ? " yes" : " no")), report);
    }
  }

  /// Double precision is optional, and a number without an f has it.
  @Test
  void kernels_needNoDoublePrecision() throws IOException {
    Pattern doubles =
        Pattern.compile("\\bdouble\\b|(?<![\\w.])(\\d+\\.\\d*|\\.\\d+)([eE][+-]?\\d+)?(?![\\w.])");
    assertTrue(doubles.matcher("x * 0.5;").find());
    assertFalse(doubles.matcher("x * 0.5f + 1e-3f").find());
    try (Stream<Path> files = Files.list(Path.of("src/main/opencl"))) {
      for (Path file : files.toList()) {
        int number = 0;
        for (String line : Files.readAllLines(file)) {
          number++;
          String code = line.replaceAll("//.*", "");
          assertFalse(doubles.matcher(code).find(), file + ":" + number + ": " + line);
        }
      }
    }
  }

  @Test
  void noDriver_andNoLoader_areClearErrors(@TempDir Path empty) throws Exception {
    OpenClDevice _ = Devices.first(); // so that what is missing below is what is taken away
    String noDriver = listWithout(empty, "libOpenCL.so.1");
    assertTrue(noDriver.contains("the OpenCL loader knows no driver with a device"), noDriver);
    assertTrue(noDriver.contains("apt install"), noDriver);
    String noLoader = listWithout(empty, empty.resolve("no-such-library.so").toString());
    assertTrue(noLoader.contains("no OpenCL loader; looked for"), noLoader);
    assertTrue(noLoader.contains("apt install"), noLoader);
  }

  // What a program that opens `opencl` says where the loader finds its drivers in `vendors`.
  private static String listWithout(Path vendors, String library)
      throws IOException, InterruptedException {
    ProcessBuilder program =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-Dorg.lwjgl.opencl.libname=" + library,
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path", "")),
                OpenProgram.class.getName())
            .redirectErrorStream(true);
    program.environment().put("OCL_ICD_VENDORS", vendors.toString());
    Process process = program.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  /// Contexts, queues, programs and staging memory go with their device.
  @Test
  void manyDevices_openAndClose() {
    for (int i = 0; i < 50; i++) {
      try (var backend = Devices.open();
          var work = new Workspace(backend.memory())) {
        NdArray x = work.allocate(DType.F32, Shape.of(1000));
        backend.fill(x, i);
        assertEquals(4000, backend.readback(x).await().byteSize());
      }
    }
  }
}
