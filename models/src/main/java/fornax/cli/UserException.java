package fornax.cli;

import org.jspecify.annotations.Nullable;

/// Something that the user asked for and cannot have. The message is one line: the value, what was
/// needed, and how to get it.
public final class UserException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public UserException(String message) {
    super(message);
  }

  public UserException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
