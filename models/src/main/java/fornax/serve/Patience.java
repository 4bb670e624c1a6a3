package fornax.serve;

import java.io.IOException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/// Ends writes to clients that do not read: each may take so many seconds, and then its connection
/// is closed.
///
/// A thread that waits in a write to a socket's channel is interrupted, which closes the channel:
/// nothing else ends such a write.
final class Patience implements AutoCloseable {
  private final int seconds;
  private final ScheduledThreadPoolExecutor clock;

  /// A write to a client.
  @FunctionalInterface
  interface Write {
    void run() throws IOException;
  }

  Patience(int seconds) {
    this.seconds = seconds;
    clock =
        new ScheduledThreadPoolExecutor(
            1,
            task -> Thread.ofPlatform().daemon().name("fornax-patience").unstarted(task),
            new ThreadPoolExecutor.DiscardPolicy()); // of what begins while the server closes
    clock.setRemoveOnCancelPolicy(true);
  }

  /// Does `write` on this thread.
  ///
  /// @throws IOException if the client is gone, or did not read for so long
  void during(Write write) throws IOException {
    var limit = new Limit(Thread.currentThread());
    Future<?> cut = clock.schedule(limit::cut, seconds, TimeUnit.SECONDS);
    try {
      write.run();
    } finally {
      boolean _ = cut.cancel(false);
      limit.end();
    }
    if (limit.reached) {
      throw new IOException("serve: the client took nothing for " + seconds + " s");
    }
  }

  @Override
  public void close() {
    var _ = clock.shutdownNow();
  }

  /// Interrupts a thread within a write, and never after it.
  private static final class Limit {
    private final Thread writer;
    private boolean ended;
    private boolean reached;

    Limit(Thread writer) {
      this.writer = writer;
    }

    synchronized void cut() {
      if (!ended) {
        reached = true;
        writer.interrupt();
      }
    }

    synchronized void end() {
      ended = true;
      if (reached) {
        boolean _ = Thread.interrupted(); // ours
      }
    }
  }
}
