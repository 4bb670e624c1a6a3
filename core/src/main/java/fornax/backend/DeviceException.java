package fornax.backend;

import org.jspecify.annotations.Nullable;

/// A device that is missing, refuses or fails. The message has the form `op: what; got ...; need
/// ...; hint`.
public class DeviceException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public DeviceException(String message) {
    super(message);
  }

  public DeviceException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
