package fornax.train;

import java.io.IOException;
import java.nio.file.Path;

/// A checkpoint whose files are not what they were when it was written. The message is one line:
/// the file, what is wrong with it and what can be done.
public final class DamagedCheckpointException extends IOException {
  private static final long serialVersionUID = 1L;

  DamagedCheckpointException(Path file, String reason) {
    super(
        "checkpoint: "
            + file
            + " is damaged: "
            + reason
            + "; need the file as it was written; train --resume with --skip-damaged takes the"
            + " checkpoint before");
  }
}
