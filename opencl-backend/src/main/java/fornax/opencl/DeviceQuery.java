package fornax.opencl;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.lwjgl.opencl.CL10;

/// Asks a driver about one device or platform.
///
/// @param handle the device or platform
/// @param call `clGetDeviceInfo` or `clGetPlatformInfo`
record DeviceQuery(long handle, Call call) {
  /// The signature of OpenCL's query functions.
  interface Call {
    int ask(long handle, int what, long size, long to, long sizeTo);
  }

  static DeviceQuery device(long handle) {
    return new DeviceQuery(handle, CL10::nclGetDeviceInfo);
  }

  static DeviceQuery platform(long handle) {
    return new DeviceQuery(handle, CL10::nclGetPlatformInfo);
  }

  String text(int what) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(JAVA_LONG);
      check(call.ask(handle, what, 0, 0, size.address()), what);
      MemorySegment text = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
      check(call.ask(handle, what, text.byteSize(), text.address(), 0), what);
      return new String(text.toArray(JAVA_BYTE), UTF_8).replace("\0", "").strip();
    }
  }

  int number(int what) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      check(call.ask(handle, what, value.byteSize(), value.address(), 0), what);
      return value.get(JAVA_INT, 0);
    }
  }

  /// A number of 64 bits, a size, or a set of flags.
  long wideNumber(int what) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_LONG);
      check(call.ask(handle, what, value.byteSize(), value.address(), 0), what);
      return value.get(JAVA_LONG, 0);
    }
  }

  private static void check(int code, int what) {
    OpenClCheck.check(code, "query 0x" + Integer.toHexString(what), "a device");
  }
}
