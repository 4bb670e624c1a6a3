package fornax.cpu;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// A fixed pool of daemon threads that, with the calling thread, run the tasks of one parallel loop
/// at a time.
///
/// Which thread runs which task is not defined, so a kernel's tasks must be independent: they own
/// disjoint outputs, or write partial results that the caller combines in task order. Then results
/// do not depend on the number of threads.
///
/// Nested loops, and loops started while another thread's loop has the pool, run inline in their
/// calling thread.
final class Workers implements AutoCloseable {
  /// Below this much work (in rough multiply-adds) a fork costs more than it saves.
  static final long MIN_PARALLEL_WORK = 40_000;

  /// How long an idle worker or a waiting caller spins before it parks.
  private static final long SPIN_NANOS = 30_000;

  /// One parallel loop: each `index` in `[0, tasks)` is passed to exactly one call.
  @FunctionalInterface
  interface Task {
    void run(int index);
  }

  /// A loop in progress.
  private static final class Loop {
    final Task task;
    final int tasks;
    final AtomicInteger next = new AtomicInteger();
    final AtomicInteger finished = new AtomicInteger();
    final Thread caller = Thread.currentThread();
    volatile @Nullable Throwable failure;

    Loop(Task task, int tasks) {
      this.task = task;
      this.tasks = tasks;
    }

    /// Runs tasks until none is left; after a failure the rest are counted but not run.
    void help() {
      int done = 0;
      for (int i = next.getAndIncrement(); i < tasks; i = next.getAndIncrement()) {
        if (failure == null) {
          try {
            task.run(i);
          } catch (Throwable t) {
            failure = t;
          }
        }
        done++;
      }
      if (done > 0 && finished.addAndGet(done) == tasks && Thread.currentThread() != caller) {
        LockSupport.unpark(caller);
      }
    }
  }

  private final Thread[] threads;
  private final AtomicBoolean busy = new AtomicBoolean();
  private volatile @Nullable Loop current;
  private volatile boolean closed;
  private final AtomicInteger parked = new AtomicInteger();
  private final long spinNanos;

  /// Makes a pool in which `threads` threads work: the caller and `threads − 1` daemons.
  Workers(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("workers: got " + threads + " threads; need at least 1");
    }
    this.threads = new Thread[threads - 1];
    // With more threads than processors a spinning thread would hold up a working one.
    spinNanos = threads <= Runtime.getRuntime().availableProcessors() ? SPIN_NANOS : 0;
    for (int i = 0; i < this.threads.length; i++) {
      this.threads[i] =
          Thread.ofPlatform().daemon().name("fornax-cpu-" + (i + 1)).start(this::serve);
    }
  }

  /// The number of threads that work on a loop, the caller among them.
  int threads() {
    return threads.length + 1;
  }

  /// Runs `task` for each index in `[0, tasks)` and returns when all have ended; what they wrote is
  /// then visible to the caller. Small `work` (rough multiply-adds of the whole loop) runs inline.
  /// The first exception a task throws is thrown again here; later tasks may be skipped.
  void parallel(long work, int tasks, Task task) {
    if (tasks <= 1
        || threads.length == 0
        || work < MIN_PARALLEL_WORK
        || closed
        || !busy.compareAndSet(false, true)) {
      for (int i = 0; i < tasks; i++) {
        task.run(i);
      }
      return;
    }
    try {
      Loop loop = new Loop(task, tasks);
      current = loop;
      if (parked.get() > 0) {
        for (int i = Math.min(threads.length, tasks - 1) - 1; i >= 0; i--) {
          LockSupport.unpark(threads[i]);
        }
      }
      loop.help();
      await(loop);
      current = null;
      Throwable failure = loop.failure;
      if (failure != null) {
        throw Workers.<RuntimeException>rethrow(failure);
      }
    } finally {
      busy.set(false);
    }
  }

  private void await(Loop loop) {
    long start = 0;
    boolean interrupted = false;
    while (loop.finished.get() < loop.tasks) {
      if (start == 0) {
        start = System.nanoTime();
      } else if (System.nanoTime() - start < spinNanos) {
        Thread.onSpinWait();
      } else {
        LockSupport.park(loop);
        interrupted |= Thread.interrupted(); // else park would return at once, for ever
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve() {
    Loop seen = null;
    while (!closed) {
      Loop loop = current;
      if (loop != null && loop != seen) {
        loop.help();
        seen = loop;
        continue;
      }
      seen = loop; // does not keep a finished loop, nor its tensors, alive
      long start = System.nanoTime();
      while (current == seen && !closed && System.nanoTime() - start < spinNanos) {
        Thread.onSpinWait();
      }
      if (current == seen && !closed) {
        parked.incrementAndGet();
        if (current == seen && !closed) {
          LockSupport.park(this);
        }
        parked.decrementAndGet();
      }
    }
  }

  /// Throws `t` unchecked, so that a task's own exception reaches the caller as it was.
  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
  private static <T extends Throwable> T rethrow(Throwable t) throws T {
    throw (T) t;
  }

  /// Ends the daemon threads; loops started later run inline. Closing twice does nothing.
  @Override
  public void close() {
    closed = true;
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
    }
  }
}
