package fornax.backend.reference;

import fornax.backend.Backend;
import fornax.backend.BackendProvider;
import fornax.backend.DeviceInfo;
import java.util.List;

/// Finds the reference backend, which is always there and never taken by `auto`.
public final class ReferenceProvider implements BackendProvider {
  static final String NAME = "reference";

  /// For [java.util.ServiceLoader].
  public ReferenceProvider() {}

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public int preference() {
    return 0;
  }

  @Override
  public List<DeviceInfo> devices() {
    return List.of(DeviceInfo.available(NAME, NAME, "naive loops in double precision"));
  }

  @Override
  public Backend open(int index) {
    return new ReferenceBackend();
  }
}
