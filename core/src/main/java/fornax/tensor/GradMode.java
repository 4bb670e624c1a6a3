package fornax.tensor;

import com.google.errorprone.annotations.MustBeClosed;

/// Whether operations are recorded for [Tensor#backward()], by thread: `try (var _ =
/// GradMode.noGrad()) { ... }` computes without a tape.
public final class GradMode implements AutoCloseable {
  private final ThreadState thread = ThreadState.current();
  private final boolean before = thread.recording;
  private boolean closed;

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

  /// Records as before. Closing twice does nothing.
  ///
  /// @throws IllegalStateException on another thread than that which opened it
  @Override
  public void close() {
    if (closed) {
      return;
    }
    if (thread != ThreadState.current()) {
      throw new IllegalStateException(
          "gradMode: closed on another thread; need try-with-resources on one thread");
    }
    closed = true;
    thread.recording = before;
  }
}
