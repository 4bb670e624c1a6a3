package fornax.train;

import fornax.backend.KernelTime;
import java.util.List;

/// Where the time of training steps went.
///
/// @param steps how many steps that were: all but the first tenth, in which code is compiled
/// @param nanos the time that passed, without evaluations and samples
/// @param kernels what the device did in it, the longest first
public record StepProfile(int steps, long nanos, List<KernelTime> kernels) {
  public StepProfile {
    kernels = List.copyOf(kernels);
  }

  /// The time of all kernels together.
  public long kernelNanos() {
    return kernels.stream().mapToLong(KernelTime::nanos).sum();
  }
}
