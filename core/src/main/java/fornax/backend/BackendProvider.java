package fornax.backend;

import com.google.errorprone.annotations.MustBeClosed;
import java.util.List;

/// How a backend is found: named in `META-INF/services` and in its module's `provides`.
public interface BackendProvider {
  /// `cpu`, `cuda`, `opencl`: the part of a device's id before the colon.
  String name();

  /// Where `--device auto` looks first: the highest. 0 is never taken by `auto`.
  int preference();

  /// The preference of the device with the index `index` among those of [#devices()]: at most
  /// [#preference()].
  default int devicePreference(int index) {
    return preference();
  }

  /// The devices, or one entry that says why there is none. Never throws.
  List<DeviceInfo> devices();

  /// More about the devices, for `fornax devices --verbose`: what was looked for, where, and what
  /// was found. Empty where there is nothing to add. Never throws.
  default String report() {
    return "";
  }

  /// Opens the device with the index `index` among those of [#devices()].
  ///
  /// @throws DeviceException if it cannot be opened
  Backend open(int index);

  /// A device of this kind with `bytes` bytes of memory that only counts them, for plans: it needs
  /// no hardware and allocates nothing.
  @MustBeClosed
  default Backend shapesOnly(long bytes) {
    return ShapesOnly.of(
        new ShapesOnly.Options(name(), bytes, 1L << 24, 1, (_, _) -> false, false));
  }
}
