package fornax.train;

import fornax.backend.Backend;
import fornax.backend.KernelTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Makes a [StepProfile] of a training: the kernels that ran between [#resume()] and [#pause()],
/// once the first steps are over.
final class StepProfiler {
  private record Key(String op, String kernel) {}

  private final Backend backend;
  private final int warmUp;
  private final Map<Key, KernelTime> sums = new LinkedHashMap<>();
  private boolean isWarm;
  private boolean isRunning;
  private long start;
  private long nanos;

  StepProfiler(Backend backend, int steps) {
    this.backend = backend;
    warmUp = steps / 10;
    isWarm = warmUp == 0;
  }

  /// Step `step` has been enqueued.
  void began(int step) {
    if (step == warmUp) {
      isWarm = true;
      resume();
    }
  }

  void resume() {
    if (isWarm) {
      List<KernelTime> _ = backend.kernelTimes(); // of what came before
      isRunning = true;
      start = System.nanoTime();
    }
  }

  void pause() {
    if (!isRunning) {
      return;
    }
    isRunning = false;
    backend.synchronize();
    nanos += System.nanoTime() - start;
    for (KernelTime time : backend.kernelTimes()) {
      KernelTime _ = sums.merge(new Key(time.op(), time.kernel()), time, StepProfiler::sum);
    }
  }

  private static KernelTime sum(KernelTime a, KernelTime b) {
    return new KernelTime(a.op(), a.kernel(), a.launches() + b.launches(), a.nanos() + b.nanos());
  }

  /// After `steps` steps; null if those were all first ones.
  @Nullable StepProfile result(int steps) {
    if (steps <= warmUp) {
      return null;
    }
    List<KernelTime> kernels = new ArrayList<>(sums.values());
    kernels.sort(Comparator.comparingLong(KernelTime::nanos).reversed());
    return new StepProfile(steps - warmUp, nanos, kernels);
  }
}
