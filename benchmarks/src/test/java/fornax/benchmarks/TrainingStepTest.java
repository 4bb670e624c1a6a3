package fornax.benchmarks;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import fornax.backend.Backend;
import fornax.backend.Backends;
import fornax.nn.Precision;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

final class TrainingStepTest {
  private static final int ROUND = 25;
  private static final int MOST_ROUNDS = 60;

  // Until C2 has compiled the kernels each vector is an object.
  @Test
  void steadyStep_allocatesLessThanOneActivation() {
    var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    TrainingShape shape = TrainingShape.parse("1x4x128x64x12x65");
    long activation = (long) Float.BYTES * shape.tokens() * 128;
    long bytes = Long.MAX_VALUE;
    try (Backend backend = Backends.open("cpu").backend();
        var training = new TrainingStep(backend, shape, Precision.F32)) {
      for (int round = 0; round < MOST_ROUNDS && bytes >= activation; round++) {
        long before = threads.getTotalThreadAllocatedBytes();
        for (int i = 0; i < ROUND; i++) {
          TrainingStep.Times _ = training.run(false);
        }
        bytes = (threads.getTotalThreadAllocatedBytes() - before) / ROUND;
      }
    }
    long least = bytes;
    assertTrue(least < activation, () -> least + " bytes a step; an activation has " + activation);
  }
}
