package fornax.opencl;

import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.backend.DeviceException;

/// What [OpenClDeviceTest] runs without a driver: opens `opencl` and prints what it is told.
final class OpenProgram {
  private OpenProgram() {}

  public static void main(String[] arguments) {
    try (Backend backend = Backends.open("opencl").backend()) {
      System.out.println("opened " + backend.id());
    } catch (DeviceException e) {
      System.out.println(e.getMessage());
    }
  }
}
