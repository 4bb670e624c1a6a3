package fornax.opencl;

import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.DeviceException;
import fornax.backend.DeviceInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/// Finds OpenCL devices. A device that is a processor (PoCL, say) is behind the CPU backend for
/// `auto`.
public final class OpenClProvider implements BackendProvider {
  static final String NAME = "opencl";

  private static final int PREFERENCE = 20;
  private static final int PROCESSOR_PREFERENCE = 5; // below the CPU backend's 10
  private static final String FIX =
      "install the vendor's driver, or for the processor: apt install ocl-icd-libopencl1"
          + " pocl-opencl-icd";

  /// For [java.util.ServiceLoader].
  public OpenClProvider() {}

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int preference() {
    return PREFERENCE;
  }

  @Override
  public int devicePreference(int index) {
    List<OpenClDevice> found = found();
    return index < found.size() && found.get(index).kind() == OpenClDevice.Kind.CPU
        ? PROCESSOR_PREFERENCE
        : PREFERENCE;
  }

  @Override
  public List<DeviceInfo> devices() {
    String failure = OpenClLibrary.failure();
    if (failure != null) {
      return List.of(DeviceInfo.missing(NAME, NAME, failure, FIX));
    }
    List<OpenClDevice> found = found();
    if (found.isEmpty()) {
      return List.of(
          DeviceInfo.missing(NAME, NAME, "the OpenCL loader knows no driver with a device", FIX));
    }
    List<DeviceInfo> devices = new ArrayList<>();
    for (int i = 0; i < found.size(); i++) {
      OpenClDevice device = found.get(i);
      String reason = device.reason();
      devices.add(
          reason == null
              ? DeviceInfo.available(NAME, id(i), device.name())
              : DeviceInfo.missing(NAME, id(i), device.name() + ": " + reason, FIX));
    }
    return devices;
  }

  @Override
  public String report() {
    String failure = OpenClLibrary.failure();
    if (failure != null) {
      return failure;
    }
    ClBlast clBlast = ClBlast.find();
    return found().stream().map(OpenClDevice::report).collect(Collectors.joining())
        + (clBlast == null
            ? "CLBlast: not found, and not needed (" + ClBlast.FIX + ")\n"
            : "CLBlast: found as "
                + clBlast.name()
                + " (multiplies with -Dfornax.opencl.matmul=clblast)\n");
  }

  @Override
  public Backend open(int index) {
    String failure = OpenClLibrary.failure();
    if (failure != null) {
      throw new DeviceException("device: no OpenCL; got " + failure + "; " + FIX);
    }
    List<OpenClDevice> found = found();
    if (index < 0 || index >= found.size()) {
      throw new DeviceException(
          "device: no such OpenCL device; got " + id(index) + "; there are " + found.size());
    }
    OpenClDevice device = found.get(index);
    if (device.reason() != null) {
      throw new DeviceException(
          "device: cannot be used; got " + device.name() + ": " + device.reason() + "; " + FIX);
    }
    return new OpenClBackend(id(index), device);
  }

  private static String id(int index) {
    return NAME + ":" + index;
  }

  private static List<OpenClDevice> found() {
    return OpenClLibrary.failure() == null ? OpenClDevice.all() : List.of();
  }
}
