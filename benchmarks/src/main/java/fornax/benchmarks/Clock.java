package fornax.benchmarks;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

/// A source of time.
@FunctionalInterface
interface Clock {
  long nanos();

  /// Time on the wall.
  static Clock wall() {
    return System::nanoTime;
  }

  /// The processor time of the calling thread: it stands still while other processes have the
  /// processor. Time on the wall where the virtual machine cannot tell.
  static Clock ownProcessor() {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    return threads.isCurrentThreadCpuTimeSupported() ? threads::getCurrentThreadCpuTime : wall();
  }
}
