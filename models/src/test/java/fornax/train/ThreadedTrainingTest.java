package fornax.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import fornax.backend.Backend;
import fornax.models.Devices;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Trainings on several threads of one process, and a thread that is interrupted.
class ThreadedTrainingTest {
  private static final int STEPS = 25;

  private static float[] train(Backend backend) throws IOException {
    try (var training = new SmallTraining(backend, STEPS, 0)) {
      double[] _ = training.run();
      return training.weights();
    }
  }

  private static <T> List<T> atOnce(List<Callable<T>> work) throws Exception {
    List<FutureTask<T>> tasks = new ArrayList<>();
    for (Callable<T> each : work) {
      FutureTask<T> task = new FutureTask<>(each);
      tasks.add(task);
      Thread _ = Thread.ofPlatform().start(task);
    }
    List<T> results = new ArrayList<>();
    for (FutureTask<T> task : tasks) {
      results.add(task.get());
    }
    return results;
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "cpu"})
  void trainingsAtOnce_haveTheBitsOfOneAlone(String device) throws Exception {
    check(device);
  }

  @Test
  @Tag("slow")
  void trainingsAtOnce_haveTheBitsOfOneAlone_onOpenCl() throws Exception {
    Devices.requireOpenCl();
    check("opencl");
  }

  private static void check(String device) throws Exception {
    try (Backend shared = Devices.open(device);
        Backend other = Devices.open(device)) {
      float[] alone = train(shared);
      for (float[] weights :
          atOnce(
              List.<Callable<float[]>>of(
                  () -> train(shared), () -> train(shared), () -> train(other)))) {
        assertArrayEquals(alone, weights);
      }
      assertEquals(0, shared.memory().stats().live(), () -> shared.memory().leaks().toString());
      assertEquals(0, other.memory().stats().live());
    }
  }

  @Test
  void interruptedTraining_savesAndGivesItsMemoryBack() throws Exception {
    try (Backend backend = Devices.open("cpu")) {
      CountDownLatch begun = new CountDownLatch(3);
      List<Integer> checkpoints = new ArrayList<>();
      TrainingListener listener =
          new TrainerTest.Recorder() {
            @Override
            public void stepped(StepReport report) {
              super.stepped(report);
              begun.countDown();
            }

            @Override
            public void checkpointDue(TrainingState state) {
              assertTrue(!Thread.currentThread().isInterrupted(), "files could not be written");
              checkpoints.add(state.step());
            }
          };
      boolean[] interruptedAfter = new boolean[1];
      FutureTask<Trainer.Result> task =
          new FutureTask<>(
              () -> {
                try (var training = new SmallTraining(backend, 1_000_000, 999_999)) {
                  Trainer.Result result = training.trainer.run(listener, () -> false);
                  interruptedAfter[0] = Thread.currentThread().isInterrupted();
                  return result;
                }
              });
      Thread thread = Thread.ofPlatform().start(task);
      begun.await();
      thread.interrupt();
      Trainer.Result result = task.get();
      thread.join();
      assertTrue(result.steps() >= 3 && result.steps() < 1_000_000);
      assertEquals(List.of(result.steps()), checkpoints);
      assertTrue(interruptedAfter[0]);
      assertEquals(0, backend.memory().stats().live());
    }
  }
}
