package fornax.cuda;

import fornax.backend.KernelTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/// The card's own clock: an event before and one after each launch on a stream. Calls are made one
/// by one, with the device's context current.
final class KernelClock {
  /// So many launches are kept before the host waits and adds their times up.
  private static final int MOST_PENDING = 4096;

  private final CUstream stream;
  private final ArrayDeque<CUevent> spare = new ArrayDeque<>();
  private final List<Timed> pending = new ArrayList<>();
  private final Map<Key, long[]> sums = new HashMap<>(); // launches and nanoseconds
  private CUevent begun = new CUevent();

  private record Key(String op, String kernel) {}

  private record Timed(Key key, CUevent start, CUevent stop) {}

  KernelClock(CUstream stream) {
    this.stream = stream;
  }

  /// Before a launch.
  void start() {
    begun = record();
  }

  /// After it.
  void stop(String op, String kernel) {
    pending.add(new Timed(new Key(op, kernel), begun, record()));
    if (pending.size() == MOST_PENDING) {
      settle();
    }
  }

  private CUevent record() {
    CUevent event = spare.poll();
    if (event == null) {
      event = new CUevent();
      CudaDriver.check(
          JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DEFAULT), "cuEventCreate");
    }
    CudaDriver.check(JCudaDriver.cuEventRecord(event, stream), "cuEventRecord");
    return event;
  }

  private void settle() {
    for (Timed timed : pending) {
      long[] sum = sums.computeIfAbsent(timed.key, _ -> new long[2]);
      sum[0]++;
      sum[1] += elapsed(timed.start, timed.stop);
    }
    pending.clear();
  }

  private long elapsed(CUevent start, CUevent stop) {
    CudaDriver.check(JCudaDriver.cuEventSynchronize(stop), "cuEventSynchronize");
    float[] millis = new float[1];
    CudaDriver.check(JCudaDriver.cuEventElapsedTime(millis, start, stop), "cuEventElapsedTime");
    spare.add(start);
    spare.add(stop);
    return Math.round(millis[0] * 1e6);
  }

  /// The time of each kernel since the last call, the longest first; waits for them.
  List<KernelTime> take() {
    settle();
    List<KernelTime> times = new ArrayList<>();
    sums.forEach((key, sum) -> times.add(new KernelTime(key.op, key.kernel, sum[0], sum[1])));
    sums.clear();
    times.sort(Comparator.comparingLong(KernelTime::nanos).reversed());
    return times;
  }

  /// What `work` takes of the card's time; waits for it.
  long nanos(Runnable work) {
    CUevent start = record();
    work.run();
    return elapsed(start, record());
  }

  void close() {
    for (Timed timed : pending) {
      spare.add(timed.start);
      spare.add(timed.stop);
    }
    pending.clear();
    for (CUevent event : spare) {
      int _ = JCudaDriver.cuEventDestroy(event);
    }
    spare.clear();
  }
}
