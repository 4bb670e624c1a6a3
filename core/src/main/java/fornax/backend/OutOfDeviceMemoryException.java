package fornax.backend;

/// A device has no memory left. The message names the request and reports who holds what; the
/// process stays usable.
public final class OutOfDeviceMemoryException extends DeviceException {
  private static final long serialVersionUID = 1L;

  public OutOfDeviceMemoryException(String message) {
    super(message);
  }
}
