package fornax.models.learn;

import java.io.IOException;

/// One step of the ladder. It makes its tensors on the current device, and reports to a [Lesson].
public interface Rung {
  /// What the command line calls it.
  String name();

  /// What it is, in one line.
  String title();

  /// Trains or runs it.
  ///
  /// @throws IOException if its data cannot be had, or a picture cannot be written
  void run(Lesson lesson) throws IOException;
}
