package fornax.opencl;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import fornax.backend.DeviceInfo;
import java.util.Arrays;

/// The device of the tests of this package.
final class Devices {
  private Devices() {}

  /// The first device; without one the test is skipped, or fails where `-Dfornax.require` names
  /// `opencl`.
  static OpenClDevice first() {
    DeviceInfo info = new OpenClProvider().devices().getFirst();
    if (!info.available()) {
      String missing = "opencl is absent: " + info.reason() + "; " + info.fix();
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("opencl")) {
        fail(missing);
      }
      abort(missing);
    }
    return OpenClDevice.all().getFirst();
  }

  static OpenClBackend open() {
    return new OpenClBackend("opencl:0", first());
  }

  /// With `tuning`, whatever suits the device, and as if it had `localBytes` of local memory.
  static OpenClBackend open(Tuning tuning, long localBytes) {
    OpenClDevice device = first();
    return new OpenClBackend(
        "opencl:0", as(device.kind(), device.groupLimit(), localBytes), tuning);
  }

  /// Tuned as if it were a graphics processor of those limits.
  static OpenClBackend openAsGpu(int groupLimit, long localBytes) {
    return new OpenClBackend("opencl:0", as(OpenClDevice.Kind.GPU, groupLimit, localBytes));
  }

  private static OpenClDevice as(OpenClDevice.Kind kind, int groupLimit, long localBytes) {
    OpenClDevice device = first();
    return new OpenClDevice(
        device.platform(),
        device.handle(),
        device.name(),
        kind,
        device.version(),
        device.units(),
        groupLimit,
        localBytes,
        device.globalBytes(),
        device.allocationBytes(),
        device.extensions(),
        device.reason());
  }
}
