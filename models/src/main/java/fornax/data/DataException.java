package fornax.data;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/// A text, tokenizer or data set that cannot be used. The message is one line: what was asked for,
/// what was found, what is needed and how to get it.
public final class DataException extends IOException {
  private static final long serialVersionUID = 1L;

  DataException(String message) {
    super(message);
  }

  DataException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
