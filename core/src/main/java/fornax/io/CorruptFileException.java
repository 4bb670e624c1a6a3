package fornax.io;

import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// A file whose contents break its format. The message is one line: the file, the tensor if the
/// fault lies in one, what was found and what was needed.
public final class CorruptFileException extends IOException {
  private static final long serialVersionUID = 1L;

  private final @Nullable String tensor;

  CorruptFileException(Path file, @Nullable String tensor, String found, String need) {
    super(
        file
            + ": "
            + (tensor == null ? "" : "tensor " + Json.quote(tensor) + ": ")
            + found
            + "; need "
            + need);
    this.tensor = tensor;
  }

  /// The name of the tensor at fault, or null where the fault lies in the file as a whole.
  public @Nullable String tensor() {
    return tensor;
  }
}
