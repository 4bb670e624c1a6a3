package fornax.array;

/// An element type that an operation does not take. The message has the form `op: what; got ...;
/// need ...; hint`.
public final class DTypeException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  public DTypeException(String message) {
    super(message);
  }
}
