package fornax.models;

import fornax.backend.Backend;
import fornax.backend.Backends;
import java.util.stream.Stream;

/// The devices that models are tested on.
public final class Devices {
  private Devices() {}

  /// Their names, for `@MethodSource`.
  public static Stream<String> names() {
    return Stream.of("reference", "cpu");
  }

  /// A device of its own for the caller, who closes it.
  public static Backend open(String name) {
    return Backends.open(name).backend();
  }
}
