package fornax.train;

import java.io.IOException;

/// A folder that cannot be a run's. The message is one line: the folder, what is wrong with it,
/// what is needed and how to get it.
public final class RunFolderException extends IOException {
  private static final long serialVersionUID = 1L;

  RunFolderException(String message) {
    super(message);
  }

  RunFolderException(String message, Throwable cause) {
    super(message, cause);
  }
}
