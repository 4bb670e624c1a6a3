package fornax.array;

/// Shapes that do not fit an operation. The message has the form `op: what; got ...; need ...;
/// hint`.
public final class ShapeException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  public ShapeException(String message) {
    super(message);
  }
}
