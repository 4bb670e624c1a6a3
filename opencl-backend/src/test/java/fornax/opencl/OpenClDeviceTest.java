package fornax.opencl;

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
import java.util.List;
import org.junit.jupiter.api.Test;

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
