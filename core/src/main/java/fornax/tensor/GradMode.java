package fornax.tensor;

import com.google.errorprone.annotations.MustBeClosed;

/// Whether operations are recorded for [Tensor#backward()], by thread: `try (var _ =
/// GradMode.noGrad()) { ... }` computes without a tape.
public final class GradMode implements AutoCloseable {
  private final ThreadState thread = ThreadState.current();
  private final boolean before = thread.recording;

  private GradMode(boolean recording) {
    thread.recording = recording;
  }

  /// Records nothing until it is closed.
  @MustBeClosed
  public static GradMode noGrad() {
    return new GradMode(false);
  }

  /// Records again, inside a [#noGrad()], until it is closed.
  @MustBeClosed
  public static GradMode withGrad() {
    return new GradMode(true);
  }

  /// Whether this thread records.
  public static boolean isRecording() {
    return ThreadState.current().recording;
  }

  @Override
  public void close() {
    thread.recording = before;
  }
}
