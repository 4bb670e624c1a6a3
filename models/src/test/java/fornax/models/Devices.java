package fornax.models;

import fornax.backend.Backend;
import fornax.backend.Backends;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/// The devices that models are tested on.
public final class Devices {
  private Devices() {}

  /// Their names, for `@MethodSource`.
  public static Stream<String> names() {
    return Stream.of("reference", "cpu");
  }

  /// A device of its own for the caller, who closes it.
  public static Backend open(String name) {
    Assumptions.assumeTrue(
        Backends.providers().stream().anyMatch(provider -> provider.name().equals(name)),
        "no backend " + name + " on the class path");
    return Backends.open(name).backend();
  }
}
