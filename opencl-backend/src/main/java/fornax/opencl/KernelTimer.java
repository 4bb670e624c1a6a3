package fornax.opencl;

import fornax.backend.KernelTime;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.lwjgl.opencl.CL10;

/// The time that each kernel of a profiling queue takes, from the events of its launches. Used
/// under the lock of its [OpenClQueue].
final class KernelTimer {
  private static final int KEPT_AT_ONCE = 4096; // events kept before they are read

  private final OpenClDevice device;
  private final long queue;
  private final MemorySegment word;
  private final List<Run> runs = new ArrayList<>();
  private final Map<Launched, long[]> sums = new HashMap<>(); // launches, nanoseconds

  /// What is timed as one.
  ///
  /// @param kernel a [Kernel.Spec], or the name of a library's function
  private record Launched(String op, Object kernel) {}

  /// One run of it.
  ///
  /// @param before the event that what is timed begins with, or 0 where `event` has its own start
  private record Run(Launched launched, long before, long event) {}

  /// @param word eight bytes to use in calls
  KernelTimer(OpenClDevice device, long queue, MemorySegment word) {
    this.device = device;
    this.queue = queue;
    this.word = word;
  }

  /// Takes over `event` of a launch of `kernel`.
  void add(String op, Kernel.Spec kernel, long event) {
    add(new Run(new Launched(op, kernel), 0, event));
  }

  /// Takes over the events of what a library's `function` enqueued: a marker `before`, and the
  /// last.
  void add(String op, String function, long before, long event) {
    add(new Run(new Launched(op, function), before, event));
  }

  private void add(Run run) {
    runs.add(run);
    if (runs.size() >= KEPT_AT_ONCE) {
      read();
    }
  }

  /// The time of each kernel since the last call, the longest first.
  List<KernelTime> table() {
    read();
    List<KernelTime> table = new ArrayList<>();
    sums.forEach(
        (launched, sum) ->
            table.add(new KernelTime(launched.op(), launched.kernel().toString(), sum[0], sum[1])));
    sums.clear();
    table.sort(Comparator.comparingLong(KernelTime::nanos).reversed());
    return table;
  }

  private void read() {
    if (runs.isEmpty()) {
      return;
    }
    OpenClCheck.check(CL10.clFinish(queue), "clFinish", device.name());
    for (Run run : runs) {
      long start =
          run.before() == 0
              ? moment(run.event(), CL10.CL_PROFILING_COMMAND_START)
              : moment(run.before(), CL10.CL_PROFILING_COMMAND_END);
      long[] sum = sums.computeIfAbsent(run.launched(), _ -> new long[2]);
      sum[0]++;
      sum[1] += moment(run.event(), CL10.CL_PROFILING_COMMAND_END) - start;
    }
    release();
  }

  private long moment(long event, int which) {
    OpenClCheck.check(
        CL10.nclGetEventProfilingInfo(event, which, 8, word.address(), 0),
        "clGetEventProfilingInfo",
        device.name());
    return word.get(ValueLayout.JAVA_LONG, 0);
  }

  /// Gives back the events that have not been read.
  void release() {
    for (Run run : runs) {
      CL10.clReleaseEvent(run.event());
      if (run.before() != 0) {
        CL10.clReleaseEvent(run.before());
      }
    }
    runs.clear();
  }
}
