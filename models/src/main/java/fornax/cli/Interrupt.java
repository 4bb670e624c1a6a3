package fornax.cli;

import java.io.PrintStream;
import java.util.concurrent.CountDownLatch;

/// Turns Ctrl-C into a request to stop. While one is open, the JVM waits for [#close()] before it
/// ends, by itself, with the exit code of the signal (130 for Ctrl-C).
final class Interrupt implements AutoCloseable {
  private final CountDownLatch done = new CountDownLatch(1);
  private final Thread hook;
  private volatile boolean requested;

  /// Starts listening; says to `err` that the request has come.
  Interrupt(PrintStream err) {
    this(err, "stopping after this step...", () -> {});
  }

  /// The same.
  ///
  /// @param message what is said
  /// @param action what is done then, on another thread
  Interrupt(PrintStream err, String message, Runnable action) {
    hook =
        new Thread(
            () -> {
              requested = true;
              err.println();
              err.println(message);
              action.run();
              try {
                done.await();
              } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
              }
            },
            "interrupt");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /// Whether to stop.
  boolean requested() {
    return requested;
  }

  /// Everything is saved and said: the JVM may end.
  @Override
  public void close() {
    done.countDown();
    try {
      boolean _ = Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException _) {
      // the JVM is ending already, and the hook with it
    }
  }
}
