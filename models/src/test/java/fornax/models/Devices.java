package fornax.models;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.DeviceInfo;
import java.util.Arrays;
import java.util.stream.Stream;

/// The devices that models are tested on.
public final class Devices {
  private Devices() {}

  /// Their names, for `@MethodSource`.
  public static Stream<String> names() {
    return Stream.of("reference", "cpu");
  }

  /// Skips the test without an OpenCL device, or fails it where `-Dfornax.require` names `opencl`.
  public static void requireOpenCl() {
    boolean none = true;
    StringBuilder why = new StringBuilder("opencl is absent");
    for (DeviceInfo device : Backends.devices()) {
      if (device.backend().equals("opencl")) {
        none &= !device.available();
        why.append(": ").append(device.reason()).append("; ").append(device.fix());
      }
    }
    if (none) {
      if (Arrays.asList(System.getProperty("fornax.require", "").split(",")).contains("opencl")) {
        fail(why.toString());
      }
      abort(why.toString());
    }
  }

  /// A device of its own for the caller, who closes it.
  public static Backend open(String name) {
    return Backends.open(name).backend();
  }
}
