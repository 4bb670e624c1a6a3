package fornax.backend;

/// A device, or a backend without one, as `fornax devices` shows it.
///
/// @param backend the backend's name: `cpu`, `cuda`, `opencl`
/// @param id what to ask for it by: `cpu`, `cuda:0`
/// @param name the hardware's name; empty where there is none
/// @param available whether it can be opened
/// @param reason why it cannot, in one line; empty where it can
/// @param fix what to do about that, in one line; empty where nothing need be done
public record DeviceInfo(
    String backend, String id, String name, boolean available, String reason, String fix) {
  /// A device that can be opened.
  public static DeviceInfo available(String backend, String id, String name) {
    return new DeviceInfo(backend, id, name, true, "", "");
  }

  /// A backend that has no device here, and what to do about it.
  public static DeviceInfo missing(String backend, String id, String reason, String fix) {
    return new DeviceInfo(backend, id, "", false, reason, fix);
  }

  /// Whether the device only stands in for hardware in tests: `auto` never takes it, and no figure
  /// of speed comes from it. Its name says so.
  public boolean testOnly() {
    return name.contains("(test only)");
  }
}
