package fornax.backend;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;

/// Finds and opens devices.
public final class Backends {
  private static volatile @Nullable Backend current;

  private Backends() {}

  /// A device that was opened, and why this one.
  ///
  /// @param reason for `auto`, one line that says which device was taken and why not a better one
  public record Opened(Backend backend, DeviceInfo device, String reason) {}

  /// The providers on the class path or module path, the most preferred first.
  public static List<BackendProvider> providers() {
    List<BackendProvider> all = new ArrayList<>();
    ServiceLoader.load(BackendProvider.class).forEach(all::add);
    all.sort(
        Comparator.comparingInt(BackendProvider::preference)
            .reversed()
            .thenComparing(BackendProvider::name));
    return all;
  }

  /// Every device of every backend, and the backends that have none with the reason.
  public static List<DeviceInfo> devices() {
    return providers().stream().flatMap(provider -> provider.devices().stream()).toList();
  }

  /// Opens `device`: `auto`, a backend's name (`cpu`, `cuda`), a name and an index (`cuda:1`), or a
  /// name and a part of the device's own name (`opencl:radeon`), the first that has it.
  ///
  /// @throws DeviceException if there is no such device: nothing else is taken in its stead
  public static Opened open(String device) {
    return device.equals("auto") ? openBest() : openNamed(device);
  }

  private static Opened openBest() {
    List<String> passed = new ArrayList<>();
    BackendProvider best = null;
    int bestIndex = 0;
    DeviceInfo bestInfo = null;
    int preference = 0;
    for (BackendProvider provider : providers()) {
      if (provider.preference() <= preference) {
        break;
      }
      List<DeviceInfo> devices = provider.devices();
      for (int i = 0; i < devices.size(); i++) {
        DeviceInfo info = devices.get(i);
        if (!info.available()) {
          passed.add("no " + provider.name() + ": " + info.reason());
        } else if (provider.devicePreference(i) > preference) {
          best = provider;
          bestIndex = i;
          bestInfo = info;
          preference = provider.devicePreference(i);
        }
      }
    }
    if (best != null && bestInfo != null) {
      String why = passed.isEmpty() ? "" : " (" + String.join("; ", passed) + ")";
      return new Opened(
          opened(best, bestIndex),
          bestInfo,
          "device: " + bestInfo.id() + ", " + bestInfo.name() + why);
    }
    throw new DeviceException(
        "device: none available; got "
            + passed
            + "; need at least the cpu backend on the class path");
  }

  private static Opened openNamed(String device) {
    int colon = device.indexOf(':');
    String name = colon < 0 ? device : device.substring(0, colon);
    for (BackendProvider provider : providers()) {
      if (provider.name().equals(name)) {
        List<DeviceInfo> devices = provider.devices();
        int index = colon < 0 ? 0 : index(device, colon, devices);
        DeviceInfo info = devices.get(index);
        if (!info.available()) {
          throw new DeviceException(
              "device: not available; got " + device + "; " + info.reason() + "; " + info.fix());
        }
        return new Opened(
            opened(provider, index), info, "device: " + info.id() + ", " + info.name());
      }
    }
    throw new DeviceException(
        "device: unknown; got "
            + device
            + "; need auto or one of "
            + providers().stream().map(BackendProvider::name).toList()
            + ", with an index where there are several (cuda:1)");
  }

  @SuppressWarnings("MustBeClosed") // the caller's
  private static Backend opened(BackendProvider provider, int index) {
    Backend backend = provider.open(index);
    return Settings.profile() && !backend.hasKernelClock() ? OpTimes.of(backend) : backend;
  }

  private static int index(String device, int colon, List<DeviceInfo> devices) {
    try {
      int index = Integer.parseInt(device.substring(colon + 1));
      if (index >= 0 && index < devices.size()) {
        return index;
      }
    } catch (NumberFormatException _) {
      String part = device.substring(colon + 1).toLowerCase(Locale.ROOT);
      for (int i = 0; i < devices.size() && !part.isEmpty(); i++) {
        if (devices.get(i).name().toLowerCase(Locale.ROOT).contains(part)) {
          return i;
        }
      }
    }
    throw new DeviceException(
        "device: no such device; got "
            + device
            + "; need one of "
            + devices.stream().map(DeviceInfo::id).toList()
            + ", or a part of a name after the colon");
  }

  /// The device that tensors are made on where none is named: what [#setCurrent(Backend)] said
  /// last, else [Settings#device()], opened at the first call.
  public static Backend current() {
    Backend backend = current;
    if (backend == null) {
      synchronized (Backends.class) {
        backend = current;
        if (backend == null) {
          backend = open(Settings.device()).backend();
          current = backend;
        }
      }
    }
    return backend;
  }

  /// Makes `backend` the device of all threads where none is named; null: [Settings#device()]
  /// again.
  public static void setCurrent(@Nullable Backend backend) {
    current = backend;
  }
}
